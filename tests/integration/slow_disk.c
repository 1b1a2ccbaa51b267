/* A disk that takes its time: preloaded, fdatasync() waits as long as the file SLOW_DISK names is there. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int descriptor) {
    const char *path = getenv("SLOW_DISK");
    while (path && access(path, F_OK) == 0) usleep(1000);
    return (int)syscall(SYS_fdatasync, descriptor);
}
