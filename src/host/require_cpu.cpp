// Refuses a processor that the rest of the program is not compiled for, with words instead of SIGILL.
//
// The rest is compiled for x86-64-v3, so no other code of the program may run first: not main(), not a constructor of a
// global variable, not an inline function of the standard library (the linker keeps one copy of it, maybe another
// file's). Hence this file is compiled for plain x86-64, calls the C library's system calls only, and is entered
// through .preinit_array, which the loader runs before every constructor, those of shared libraries included.
#include <unistd.h>

#include <cstddef>

namespace {

struct Text {
  const char* data;
  std::size_t size;
};

template <std::size_t n>
constexpr Text text(const char (&literal)[n]) {
  return {literal, n - 1};
}

/// stderr may be closed: then the exit code alone tells.
void print(Text part) {
  if (write(STDERR_FILENO, part.data, part.size) < 0) return;
}

/// What is asked of the CPU is also asked of the operating system: AVX counts only where its registers are saved.
void require_cpu(int, char**, char**) {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v3")) return;
  print(text("gradscape: this processor cannot run the program, which is compiled for x86-64-v3: no"));
  if (!__builtin_cpu_supports("avx")) print(text(" AVX"));
  if (!__builtin_cpu_supports("avx2")) print(text(" AVX2"));
  if (!__builtin_cpu_supports("fma")) print(text(" FMA"));
  if (!__builtin_cpu_supports("f16c")) print(text(" F16C"));
  if (!__builtin_cpu_supports("bmi")) print(text(" BMI1"));
  if (!__builtin_cpu_supports("bmi2")) print(text(" BMI2"));
  if (!__builtin_cpu_supports("lzcnt")) print(text(" LZCNT"));
  if (!__builtin_cpu_supports("movbe")) print(text(" MOVBE"));
  print(
      text("\n  hint: take a machine with Intel Haswell (2013), AMD Excavator (2015) or later; on a virtual machine,"
           " let it see the host's processor\n"));
  _exit(1);
}

__attribute__((section(".preinit_array"), used)) void (*const entry)(int, char**, char**) = require_cpu;

}  // namespace
