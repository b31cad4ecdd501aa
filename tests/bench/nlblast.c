// Sends a file of netlink messages, the yardstick for the kernel datapath: nothing but the kernel's
// own time. Up to `chunk` bytes per send, an acknowledgement asked for on the last message of each.
// usage: nlblast FILE CHUNK; prints seconds, seconds of CPU and refused messages.
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what) {
  perror(what);
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int file = open(argv[1], O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) die(argv[1]);
  size_t size = status.st_size, chunk = strtoul(argv[2], NULL, 0);
  char *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (data == MAP_FAILED) die("mmap");

  int sock = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), bytes = 8 << 20, one = 1;
  setsockopt(sock, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  setsockopt(sock, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(sock, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);

  static char answer[65536];
  size_t at = 0, refused = 0;
  unsigned seq = 0;
  double start = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
  while (at < size) {
    size_t first = at, last = at;
    while (at < size) {
      struct nlmsghdr *message = (void *)(data + at);
      if (at + message->nlmsg_len - first > chunk) break;
      message->nlmsg_seq = ++seq;
      message->nlmsg_flags &= ~NLM_F_ACK;
      last = at;
      at += NLMSG_ALIGN(message->nlmsg_len);
    }
    ((struct nlmsghdr *)(data + last))->nlmsg_flags |= NLM_F_ACK;
    if (send(sock, data + first, at - first, 0) < 0) die("send");
    for (int done = 0; !done;) {
      ssize_t got = recv(sock, answer, sizeof answer, 0);
      if (got < 0) die("recv");
      for (struct nlmsghdr *it = (void *)answer; NLMSG_OK(it, got); it = NLMSG_NEXT(it, got)) {
        if (it->nlmsg_type != NLMSG_ERROR) continue;
        refused += ((struct nlmsgerr *)NLMSG_DATA(it))->error != 0;
        done |= it->nlmsg_seq == seq;
      }
    }
  }
  printf("%.6f %.6f %zu\n", now(CLOCK_MONOTONIC) - start, now(CLOCK_PROCESS_CPUTIME_ID) - cpu, refused);
  return 0;
}
