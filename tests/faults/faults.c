/* A system whose N-th call fails, once; for LD_PRELOAD (tests/cli/test_faults.py).

   FAULT_CALL   pwrite, write, fsync, close, rename, ftruncate or malloc (which stands for every allocation)
   FAULT_AT     the N-th of these calls fails, counted from 1; 0: none
   FAULT_ERRNO  with this error
   FAULT_BELOW  only calls on regular files and directories below this folder count (allocations: all)
   FAULT_COUNT  a file that gets the number of calls when the program ends by exit()

   A crash is told on stderr where it happened inside of the HDF5 library, which does not survive the failure of each of
   its own allocations. */
#define _GNU_SOURCE
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static char chosen[16], below[PATH_MAX];
static long at, code;
static atomic_long calls;
static int active;
static struct {
  const char *first, *last;
} hdf5[8]; /* where its code lies */
static int ranges;

static int note_library(struct dl_phdr_info* info, size_t size, void* unused) {
  (void)size, (void)unused;
  if (info->dlpi_name == NULL || strstr(info->dlpi_name, "libhdf5") == NULL) return 0;
  for (int i = 0; i < info->dlpi_phnum && ranges < 8; ++i) {
    const ElfW(Phdr)* part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
    hdf5[ranges].first = (const char*)info->dlpi_addr + part->p_vaddr;
    hdf5[ranges].last = hdf5[ranges].first + part->p_memsz;
    ++ranges;
  }
  return 0;
}

static void tell_of_crash(int signal) {
  static const char text[] = "fault: crashed inside of the HDF5 library\n";
  void* frames[256];
  const int depth = backtrace(frames, 256);
  for (int i = 0; i < depth; ++i)
    for (int k = 0; k < ranges; ++k)
      if ((const char*)frames[i] >= hdf5[k].first && (const char*)frames[i] < hdf5[k].last) {
        syscall(SYS_write, STDERR_FILENO, text, sizeof text - 1);
        i = depth, k = ranges;
      }
  raise(signal); /* SA_RESETHAND: this ends the process */
}

static void tell_of_crashes(void) {
  static char own_stack[1 << 16]; /* the other one may be what ran out */
  const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
  const stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof own_stack};
  const struct sigaction action = {.sa_handler = tell_of_crash, .sa_flags = SA_ONSTACK | SA_RESETHAND | SA_NODEFER};
  void* frame;
  backtrace(&frame, 1); /* the first call allocates */
  sigaltstack(&stack, NULL);
  for (int i = 0; i < 4; ++i) sigaction(signals[i], &action, NULL);
}

/* getenv() and what it needs allocate nothing. */
__attribute__((constructor)) static void begin(void) {
  const char *call = getenv("FAULT_CALL"), *folder = getenv("FAULT_BELOW"), *n = getenv("FAULT_AT");
  const char* error = getenv("FAULT_ERRNO");
  if (call == NULL || strlen(call) >= sizeof chosen) return;
  strcpy(chosen, call);
  if (folder != NULL && strlen(folder) < sizeof below) strcpy(below, folder);
  at = n == NULL ? 0 : atol(n);
  code = error == NULL ? EIO : atol(error);
  dl_iterate_phdr(note_library, NULL);
  tell_of_crashes();
  active = 1;
}

__attribute__((destructor)) static void end(void) {
  const char* path = getenv("FAULT_COUNT");
  char text[32];
  int fd, length;
  if (!active || path == NULL) return;
  length = snprintf(text, sizeof text, "%ld\n", (long)calls);
  fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (fd < 0) return;
  if (syscall(SYS_write, fd, text, length) == length) syscall(SYS_close, fd);
}

static int is_chosen(const char* call) { return active && strcmp(chosen, call) == 0; }

/* Counts a call; 1 where it is the one that fails. */
static int fails(void) {
  if (atomic_fetch_add(&calls, 1) + 1 != at) return 0;
  errno = (int)code;
  return 1;
}

static int is_below(const char* path) {
  const size_t length = strlen(below);
  return strncmp(path, below, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static int counts(int fd) {
  struct stat found;
  char link[64], path[PATH_MAX];
  ssize_t length;
  if (fstat(fd, &found) != 0 || !(S_ISREG(found.st_mode) || S_ISDIR(found.st_mode))) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = '\0';
  return is_below(path);
}

#define FAILS_ON(call, fd) (is_chosen(call) && counts(fd) && fails())

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return FAILS_ON("pwrite", fd) ? -1 : syscall(SYS_pwrite64, fd, bytes, size, offset);
}
ssize_t pwrite64(int fd, const void* bytes, size_t size, off64_t offset) { return pwrite(fd, bytes, size, offset); }

ssize_t write(int fd, const void* bytes, size_t size) {
  return FAILS_ON("write", fd) ? -1 : syscall(SYS_write, fd, bytes, size);
}

int fsync(int fd) { return FAILS_ON("fsync", fd) ? -1 : (int)syscall(SYS_fsync, fd); }

/* The descriptor is gone even where closing it fails, as with Linux. */
int close(int fd) {
  const int failing = FAILS_ON("close", fd), error = errno;
  const int result = (int)syscall(SYS_close, fd);
  if (!failing) return result;
  errno = error;
  return -1;
}

int ftruncate(int fd, off_t size) { return FAILS_ON("ftruncate", fd) ? -1 : (int)syscall(SYS_ftruncate, fd, size); }
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int rename(const char* from, const char* to) {
  char path[PATH_MAX];
  if (is_chosen("rename")) {
    if (to[0] == '/') {
      snprintf(path, sizeof path, "%s", to);
    } else {
      if (getcwd(path, sizeof path) == NULL || strlen(path) + strlen(to) + 2 > sizeof path) return -1;
      strcat(path, "/");
      strcat(path, to);
    }
    if (is_below(path) && fails()) return -1;
  }
  return (int)syscall(SYS_rename, from, to);
}

static int no_memory(void) {
  if (!is_chosen("malloc") || !fails()) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return no_memory() ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return no_memory() ? NULL : __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return no_memory() ? NULL : __libc_realloc(old, size); }
void* memalign(size_t alignment, size_t size) { return no_memory() ? NULL : __libc_memalign(alignment, size); }
void* aligned_alloc(size_t alignment, size_t size) { return no_memory() ? NULL : __libc_memalign(alignment, size); }
int posix_memalign(void** result, size_t alignment, size_t size) {
  if (no_memory()) return ENOMEM;
  *result = __libc_memalign(alignment, size);
  return *result == NULL ? ENOMEM : 0;
}
