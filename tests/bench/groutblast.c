// Sends a file of requests to grout, the yardstick for our channel: as a native client would, with
// batches of 4096 that a PING filling grout's buffer ends, and two of them in flight.
// usage: groutblast SOCKET FILE REQUEST_SIZE API_VERSION; prints seconds and refused requests.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 4096, IN_FLIGHT = 2, PING_BYTES = 128 * 1024, READ_BYTES = 256 * 1024 };
enum { GR_HELLO = 0xcafe1981, GR_PING = 0xcafe1987 };

struct header { uint32_t id, type, length; };  // gr_api_request; the answer has an errno for type

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int say_hello(const char *path, uint32_t version) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
  int sock = socket(AF_UNIX, SOCK_STREAM, 0);
  if (sock < 0 || connect(sock, (struct sockaddr *)&address, sizeof(address)) < 0) die(path);
  struct { struct header header; uint32_t version; char text[128]; } hello = {
      {1, GR_HELLO, 132}, version, ""};
  struct header answer;
  char rest[64];
  if (write(sock, &hello, sizeof(hello)) != sizeof(hello)) die("hello");
  if (recv(sock, &answer, sizeof(answer), MSG_WAITALL) != sizeof(answer) || answer.type)
    die("hello");
  if (recv(sock, rest, answer.length, MSG_WAITALL) != (ssize_t)answer.length) die("hello");
  return sock;
}

static char buffer[READ_BYTES + PING_BYTES + 64];
static size_t held;

// Takes what has come; returns how many PINGs were answered.
static int take(int sock, size_t *refused) {
  ssize_t count = recv(sock, buffer + held, READ_BYTES, MSG_DONTWAIT);
  if (count == 0 || (count < 0 && errno != EAGAIN)) die("recv");
  if (count > 0) held += count;
  size_t at = 0;
  int pings = 0;
  while (held - at >= sizeof(struct header)) {
    struct header *answer = (struct header *)(buffer + at);
    if (held - at < sizeof(*answer) + answer->length) break;
    at += sizeof(*answer) + answer->length;
    if (answer->id == UINT32_MAX) pings++;
    else if (answer->type) ++*refused;
  }
  memmove(buffer, buffer + at, held -= at);
  return pings;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  int file = open(argv[2], O_RDONLY), sock = say_hello(argv[1], atoi(argv[4]));
  struct stat status;
  if (file < 0 || fstat(file, &status) < 0) die(argv[2]);
  size_t size = atoi(argv[3]), total = status.st_size / size, sent = 0, refused = 0, offset = 0;
  char *data = mmap(NULL, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (data == MAP_FAILED) die("mmap");
  char *ping = calloc(1, sizeof(struct header) + PING_BYTES);
  *(struct header *)ping = (struct header){UINT32_MAX, GR_PING, PING_BYTES};
  size_t batches = (total + BATCH - 1) / BATCH, answered = 0, begun = 0;
  double start = now();
  while (answered < batches) {
    int may_write = begun < batches && begun - answered < IN_FLIGHT;
    struct pollfd wait = {sock, POLLIN | (may_write ? POLLOUT : 0), 0};
    if (poll(&wait, 1, -1) < 0) die("poll");
    if (wait.revents & POLLOUT) {
      size_t rows = total - sent < BATCH ? total - sent : BATCH, bytes = rows * size;
      size_t whole = bytes + sizeof(struct header) + PING_BYTES;
      struct iovec parts[2] = {{data + sent * size + offset, offset < bytes ? bytes - offset : 0},
                               {ping, whole - bytes}};
      if (offset > bytes) {
        parts[1].iov_base = ping + (offset - bytes);
        parts[1].iov_len = whole - offset;
      }
      struct msghdr message = {.msg_iov = offset < bytes ? parts : parts + 1,
                               .msg_iovlen = offset < bytes ? 2 : 1};
      ssize_t count = sendmsg(sock, &message, MSG_DONTWAIT);
      if (count < 0 && errno != EAGAIN) die("send");
      if (count > 0) offset += count;
      if (offset == whole) sent += rows, offset = 0, begun++;
    }
    if (wait.revents & (POLLIN | POLLHUP)) answered += take(sock, &refused);
  }
  printf("%.6f %zu\n", now() - start, refused);
  return 0;
}
