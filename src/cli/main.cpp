#include <cxxabi.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>
#include <typeinfo>

#include "gradscape/cli/command_line.hpp"

namespace {

/// Prints the reason and ends the process; allocates nothing and relies on nothing else of the program.
[[noreturn]] void give_up(std::string_view message) {
  (void)!::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(1);
}

std::terminate_handler g_library_handler = nullptr;

/// Memory can run out where nothing catches it: before main(), in a destructor, while an error is put into words.
void handle_terminate() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type != nullptr && *type == typeid(std::bad_alloc)) give_up("gradscape: out of memory\n");
  if (g_library_handler != nullptr) g_library_handler();
  std::abort();
}

/// Before all other static objects, whose construction allocates.
__attribute__((constructor(101))) void set_terminate_handler() {
  g_library_handler = std::set_terminate(handle_terminate);
}

bool g_running = false;

/// HDF5 calls exit() where it gets no memory for a handle.
void handle_exit() {
  if (g_running) give_up("gradscape: a library ended the program, as it does where memory runs out\n");
}

}  // namespace

int main(int argc, char** argv) {
  std::atexit(handle_exit);
  g_running = true;
  const int code = gradscape::run_command_line(argc, argv);
  g_running = false;
  return code;
}
