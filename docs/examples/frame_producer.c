/* A camera process in C: hands over COUNT frames of a moving pattern and prints what it hears.
 *
 *   cc -std=c11 -Wall -Wextra -Werror -Iproto docs/examples/frame_producer.c -o frame_producer
 *   ./frame_producer /run/livegate/frames.sock door 1280 720 100
 *
 * It waits for the word on each frame before the next one, which a turnstile may do and a fast camera
 * should not: a camera publishes and reads what came whenever it likes.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "livegate_shm.h"

union packet {
  struct livegate_shm_header header;
  struct livegate_shm_grant grant;
  struct livegate_shm_loaned loaned;
  struct livegate_shm_result result;
  struct livegate_shm_error error;
  char bytes[512];
};

static uint32_t last_request;

static void die(const char *what) {
  fprintf(stderr, "frame_producer: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
  exit(1);
}

/* Send a message whose fields after the header are filled in. */
static void send_message(int fd, void *message, uint16_t type, uint32_t size) {
  struct livegate_shm_header header = livegate_shm_header_for(type, size, ++last_request);
  memcpy(message, &header, sizeof header);
  if (send(fd, message, size, MSG_NOSIGNAL) != (ssize_t)size) die("send");
}

/* Receive one packet, and the descriptor that rides along with it, if any. */
static int receive(int fd, union packet *packet) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec iov = {.iov_base = packet, .iov_len = sizeof *packet};
  struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
  int memory = -1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
  if (got < (ssize_t)sizeof packet->header) die("the server hung up");
  struct cmsghdr *part = CMSG_FIRSTHDR(&message);
  if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
    memcpy(&memory, CMSG_DATA(part), sizeof memory);
  if (packet->header.magic != LIVEGATE_SHM_MAGIC || packet->header.size != (uint32_t)got)
    die("not a packet of the frame queue");
  if (packet->header.type == LIVEGATE_SHM_ERROR) {
    fprintf(stderr, "frame_producer: refused with %u: %s\n", packet->error.code, packet->error.text);
    exit(2);
  }
  return memory;
}

/* Receive until a packet of this type comes. */
static int receive_type(int fd, union packet *packet, uint16_t type) {
  int memory = receive(fd, packet);
  while (packet->header.type != type) memory = receive(fd, packet);
  return memory;
}

static int dial(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0) die("socket");
  if (strlen(path) >= sizeof address.sun_path) die("the path is too long");
  strcpy(address.sun_path, path);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) die(path);
  return fd;
}

/* Something that moves: each pixel's value follows from the frame's number and its place. */
static void draw(uint8_t *slot, uint32_t stride, uint32_t width, uint32_t height, uint64_t frame) {
  for (uint32_t y = 0; y < height; y++)
    for (uint32_t x = 0; x < width * 3; x++) slot[(size_t)y * stride + x] = (uint8_t)(x + y + frame);
}

/* What a turnstile does: opens at OPEN, and at nothing else, numbers that it does not know included. */
static const char *gate_word(uint32_t gate) {
  switch (gate) {
    case LIVEGATE_SHM_NO_WORD: return "-";
    case LIVEGATE_SHM_OPEN: return "OPEN";
    case LIVEGATE_SHM_HOLD: return "HOLD";
    case LIVEGATE_SHM_DENY: return "DENY";
    default: return "unknown";
  }
}

int main(int argc, char **argv) {
  if (argc != 6) {
    fprintf(stderr, "usage: frame_producer SOCKET CAMERA WIDTH HEIGHT COUNT\n");
    return 1;
  }
  uint32_t width = (uint32_t)atoi(argv[3]), height = (uint32_t)atoi(argv[4]);
  uint64_t count = (uint64_t)atoll(argv[5]);
  union packet packet;

  int fd = dial(argv[1]);
  struct livegate_shm_hello hello = {.width = width, .height = height, .slots = 4};
  strncpy(hello.camera, argv[2], sizeof hello.camera - 1);
  hello.pixel_format = LIVEGATE_SHM_BGR;
  hello.capabilities = LIVEGATE_SHM_CAP_RESULTS;
  send_message(fd, &hello, LIVEGATE_SHM_HELLO, sizeof hello);

  int memory = receive_type(fd, &packet, LIVEGATE_SHM_GRANT);
  struct livegate_shm_grant grant = packet.grant;
  if (memory < 0) die("the grant came without memory");
  uint8_t *segment = mmap(NULL, grant.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (segment == MAP_FAILED) die("mmap");
  close(memory);

  for (uint64_t frame = 1; frame <= count; frame++) {
    struct livegate_shm_loan loan = {.wait_ms = 100};
    send_message(fd, &loan, LIVEGATE_SHM_LOAN, sizeof loan);
    receive_type(fd, &packet, LIVEGATE_SHM_LOANED);
    struct livegate_shm_loaned loaned = packet.loaned;

    draw(segment + loaned.offset, grant.stride, width, height, frame);

    struct livegate_shm_publish publish = {.generation = loaned.generation,
                                           .slot = loaned.slot,
                                           .frame_id = frame,
                                           .captured_ns = 0};
    send_message(fd, &publish, LIVEGATE_SHM_PUBLISH, sizeof publish);
    receive_type(fd, &packet, LIVEGATE_SHM_RESULT);
    printf("frame %llu code %u decision %u score %.3f gate %s\n",
           (unsigned long long)packet.result.frame_id, packet.result.code, packet.result.decision,
           (double)packet.result.score, gate_word(packet.result.gate));
  }

  struct livegate_shm_bye bye;
  send_message(fd, &bye, LIVEGATE_SHM_BYE, sizeof bye);
  munmap(segment, grant.segment_bytes);
  close(fd);
  return 0;
}
