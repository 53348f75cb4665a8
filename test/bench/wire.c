// Lines that are slower or worse than loopback, for the benchmark. Linux.
//   tun    a delaying cable between this network namespace and another one, for which only root is let
//   delay  a proxy that delays a TCP connection, for anybody: its two halves acknowledge to each other at once
//   alter  a proxy that spoils one byte of each connection, both ways
// Standard input takes the delay of one way, in microseconds, a number a line; at its end the line ends.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { mostLanes = 256, largestPacket = 70000, mostQueued = 512 << 20 };

struct segment {
  struct segment *next;
  double due;
  size_t size, sent;
  unsigned char bytes[];
};

/** One way of a connection, or of a cable. */
struct lane {
  int from, to, hasEnded, isOver;
  struct segment *head, *tail;
  size_t queued;
  unsigned long long position;
};

static struct lane lanes[mostLanes];
static int laneCount;
static double delay;
static int isPacketWise;
static const char *spoiling;
static unsigned long long spoilAt;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static void queue(struct lane *lane, const unsigned char *bytes, size_t size) {
  struct segment *made = malloc(sizeof *made + size);
  if (!made) fail("malloc");
  *made = (struct segment){.due = now() + delay, .size = size};
  memcpy(made->bytes, bytes, size);
  if (lane->tail) lane->tail->next = made;
  else lane->head = made;
  lane->tail = made;
  lane->queued += size;
}

/** The size of what is left of `bytes`, where there is room for one more. */
static size_t spoil(struct lane *lane, unsigned char *bytes, size_t size) {
  size_t at = spoilAt - lane->position;
  int isHere = spoiling && lane->position <= spoilAt && at < size;
  lane->position += size;
  if (!isHere) return size;
  if (!strcmp(spoiling, "flip")) bytes[at] ^= 1;
  if (!strcmp(spoiling, "drop")) memmove(bytes + at, bytes + at + 1, --size - at);
  if (!strcmp(spoiling, "double")) memmove(bytes + at + 1, bytes + at, size++ - at);
  return size;
}

static void readLane(struct lane *lane) {
  static unsigned char bytes[256 * 1024 + 1];
  for (int turn = 0; turn < 64 && lane->queued < mostQueued; turn++) {
    ssize_t n = read(lane->from, bytes, isPacketWise ? largestPacket : sizeof bytes - 1);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) {
      queue(lane, bytes, spoil(lane, bytes, n));
      continue;
    }
    if (isPacketWise) fail("read");
    lane->hasEnded = 1;
    // An end is delayed as bytes are.
    queue(lane, bytes, 0);
    return;
  }
}

static void writeLane(struct lane *lane) {
  double time = now();
  while (lane->head && lane->head->due <= time) {
    struct segment *first = lane->head;
    if (isPacketWise) {
      // What the kernel doesn't take is a lost packet.
      if (write(lane->to, first->bytes, first->size) < 0 && errno != EAGAIN && errno != EIO) fail("write");
    } else if (first->size == 0) {
      shutdown(lane->to, SHUT_WR);
      lane->isOver = 1;
    } else {
      ssize_t n = send(lane->to, first->bytes + first->sent, first->size - first->sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) return;
      first->sent = n < 0 ? first->size : first->sent + n;
      if (first->sent < first->size) return;
    }
    lane->queued -= first->size;
    lane->head = first->next;
    if (!lane->head) lane->tail = NULL;
    free(first);
  }
}

static void join(int a, int b) {
  if (laneCount + 2 > mostLanes) {
    close(a);
    close(b);
    return;
  }
  lanes[laneCount++] = (struct lane){.from = a, .to = b};
  lanes[laneCount++] = (struct lane){.from = b, .to = a};
}

static void dropEnded(void) {
  for (int i = 0; i < laneCount; i += 2) {
    if (!lanes[i].isOver || !lanes[i + 1].isOver) continue;
    close(lanes[i].from);
    close(lanes[i].to);
    lanes[i] = lanes[laneCount - 2];
    lanes[i + 1] = lanes[laneCount - 1];
    laneCount -= 2;
    i -= 2;
  }
}

static void readDelay(void) {
  char line[64];
  ssize_t n = read(0, line, sizeof line - 1);
  if (n <= 0) exit(0);
  line[n] = 0;
  delay = atof(line) / 1e6;
  printf("set\n");
  fflush(stdout);
}

static void undelayed(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void acceptOne(int listener, const struct sockaddr_in *target) {
  int near = accept(listener, NULL, NULL);
  if (near < 0) return;
  int far = socket(AF_INET, SOCK_STREAM, 0);
  if (far < 0 || connect(far, (const void *)target, sizeof *target)) {
    close(near);
    close(far);
    return;
  }
  undelayed(near);
  undelayed(far);
  join(near, far);
}

_Noreturn static void run(int listener, const struct sockaddr_in *target) {
  for (;;) {
    struct pollfd waits[2 + 2 * mostLanes] = {{0, POLLIN, 0}, {listener, POLLIN, 0}};
    double time = now(), next = time + 3600;
    int count = 2;
    for (struct lane *lane = lanes; lane < lanes + laneCount; lane++) {
      int isDue = lane->head && lane->head->due <= time;
      if (lane->head && !isDue && lane->head->due < next) next = lane->head->due;
      waits[count++] = (struct pollfd){lane->hasEnded || lane->queued >= mostQueued ? -1 : lane->from, POLLIN, 0};
      waits[count++] = (struct pollfd){isDue ? lane->to : -1, POLLOUT, 0};
    }
    double left = next - time;
    struct timespec wait = {(time_t)left, (left - (time_t)left) * 1e9};
    if (ppoll(waits, count, &wait, NULL) < 0 && errno != EINTR) fail("poll");
    if (waits[0].revents) readDelay();
    for (int i = 0; i < laneCount; i++) {
      if (waits[2 + 2 * i].revents) readLane(&lanes[i]);
      writeLane(&lanes[i]);
    }
    if (!isPacketWise) dropEnded();
    if (waits[1].revents) acceptOne(listener, target);
  }
}

static void proxy(const char *host, int port) {
  struct sockaddr_in own = {.sin_family = AF_INET}, target = {.sin_family = AF_INET, .sin_port = htons(port)};
  socklen_t size = sizeof own;
  if (inet_pton(AF_INET, host, &target.sin_addr) != 1) fail(host);
  own.sin_addr = target.sin_addr;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (void *)&own, size) || listen(listener, 256)) fail("listen");
  getsockname(listener, (void *)&own, &size);
  printf("%d\n", ntohs(own.sin_port));
  fflush(stdout);
  run(listener, &target);
}

static int openTun(const char *name) {
  int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
  snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
  // Packets stay as large as TCP makes them: this program is to cost little beside what is measured.
  if (fd < 0 || ioctl(fd, TUNSETIFF, &request) || ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)) fail("tun");
  return fd;
}

static void tun(const char *near, const char *far, const char *otherNamespace) {
  int own = open("/proc/self/ns/net", O_RDONLY), other = open(otherNamespace, O_RDONLY);
  int a = openTun(near);
  if (own < 0 || other < 0 || setns(other, CLONE_NEWNET)) fail("setns");
  int b = openTun(far);
  if (setns(own, CLONE_NEWNET)) fail("setns");
  isPacketWise = 1;
  join(a, b);
  printf("ready\n");
  fflush(stdout);
  run(-1, NULL);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const char *mode = argc > 3 ? argv[1] : "";
  if (!strcmp(mode, "tun") && argc == 5) tun(argv[2], argv[3], argv[4]);
  if (!strcmp(mode, "alter") && argc == 6) {
    spoiling = argv[4];
    spoilAt = strtoull(argv[5], NULL, 10);
  }
  if (!strcmp(mode, "delay") || spoiling) proxy(argv[2], atoi(argv[3]));
  fprintf(stderr, "wire: no such use\n");
  return 2;
}
