#include "gradscape/cli/command_line.hpp"

int main(int argc, char** argv) {
  return gradscape::run_command_line(argc, argv);
}
