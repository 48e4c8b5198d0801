/* A file system that refuses what not every one can do; for LD_PRELOAD (tests/cli/test_file_systems.py).

   REFUSE_FLOCK             flock() fails with this error
   REFUSE_DIRECTORY_FSYNC   fsync() of a directory fails with this error */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int flock(int descriptor, int operation) {
  const char* error = getenv("REFUSE_FLOCK");
  if (error == NULL) return (int)syscall(SYS_flock, descriptor, operation);
  errno = atoi(error);
  return -1;
}

int fsync(int descriptor) {
  const char* error = getenv("REFUSE_DIRECTORY_FSYNC");
  struct stat status;
  if (error == NULL || fstat(descriptor, &status) != 0 || !S_ISDIR(status.st_mode))
    return (int)syscall(SYS_fsync, descriptor);
  errno = atoi(error);
  return -1;
}
