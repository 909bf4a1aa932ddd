/* A control of the test, loaded into dnsgate by LD_PRELOAD: the kernel is never asked which address a datagram was sent
   to (IP_PKTINFO), and whoever asked is told that it was. Then replies leave from the machine's own address. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <sys/socket.h>

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    static int (*real)(int, int, int, const void *, socklen_t);
    if (level == IPPROTO_IP && name == IP_PKTINFO)
        return 0;
    if (real == 0)
        real = (int (*)(int, int, int, const void *, socklen_t))dlsym(RTLD_NEXT, "setsockopt");
    return real(fd, level, name, value, size);
}
