/* The frame queue of LiveGate, as bytes: everything that a producer of camera frames has to know.
 *
 * How it goes
 *   1. connect() a SOCK_SEQPACKET Unix socket to the server's path. One message is one packet: a
 *      packet is one of the structs below, whole, and nothing after it.
 *   2. Send HELLO. The answer is GRANT, with the descriptor of a memfd as SCM_RIGHTS. The server made
 *      this memory, fallocated it and sealed its size; map it read-write, shared, segment_bytes long.
 *   3. For each frame: send LOAN, get LOANED (a slot that is yours alone), write the pixels at
 *      `offset`, send PUBLISH. From PUBLISH on the slot is the server's: do not touch it again.
 *      A loan that you do not want to publish goes back with RELEASE, answered by RETURNED. A PUBLISH
 *      that is refused (ERROR) ends the loan as one that is not.
 *   4. With CAP_RESULTS each published frame is answered by one RESULT, in any order: a verdict (code
 *      0), or the error code and the reason for which there is none (a newer frame took its place, too
 *      old, ...). A producer that does not read loses RESULTs, never frames; nothing is kept for it.
 *      What waits in the socket grows old: an OPEN that is read more than a second after it was sent
 *      (queue_ns + work_ns after its PUBLISH) is to be taken for HOLD, the person has gone on.
 *      With CAP_RELOAN the server may send RELOANED instead: the same struct, and its slot is yours
 *      again as if you had sent LOAN, under generation + 1. It spares two messages a frame. Who sends
 *      LOAN says in `reloaned` how many of these it has read, so that one that is on its way is not
 *      taken for a second loan: LOANED then names that slot, and comes after its RELOANED.
 *   5. Send BYE and close, or just close. The server takes back every slot at end-of-file, whatever
 *      state it was in; a slot that is being looked at is freed when the look is over.
 *
 * Rules
 *   - Little-endian, fixed sizes, every field at its natural alignment. Reserved fields are 0.
 *   - Who owns a slot is known to the server only and changes by messages only. Nothing in the
 *     memory says so, and nothing there is to be polled: a word polled without fences tears on ARM.
 *   - A loan is (slot, generation). A generation is used once; a ticket with an old one is refused.
 *   - captured_ns is CLOCK_MONOTONIC of this machine, 0 for "now". Ages are counted on that clock,
 *     because the wall clock of a box without a battery jumps when the network comes up.
 *   - `request` is the producer's own number for a message; the answer carries it. 0 in RESULT.
 *   - ERROR with is_fatal 1 is the last packet before the server closes. The codes are those of
 *     docs/errors.md.
 *   - A message of another version is answered by ERROR 1005.
 */
#ifndef LIVEGATE_SHM_H
#define LIVEGATE_SHM_H

#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the frame queue speaks little-endian; add byte swaps before using it on this machine"
#endif

#ifdef __cplusplus
#define LIVEGATE_SHM_ASSERT(fact) static_assert(fact, #fact)
#else
#define LIVEGATE_SHM_ASSERT(fact) _Static_assert(fact, #fact)
#endif
#define LIVEGATE_SHM_PACKED __attribute__((packed))

#define LIVEGATE_SHM_MAGIC 0x4D53474Cu /* "LGSM" in memory */
#define LIVEGATE_SHM_VERSION 1u
#define LIVEGATE_SHM_CAMERA_BYTES 64u /* with the closing NUL */
#define LIVEGATE_SHM_TEXT_BYTES 200u  /* with the closing NUL */

enum livegate_shm_type {
  LIVEGATE_SHM_HELLO = 1,    /* producer -> server */
  LIVEGATE_SHM_GRANT = 2,    /* server -> producer, answers HELLO; carries the memfd */
  LIVEGATE_SHM_LOAN = 3,     /* producer -> server */
  LIVEGATE_SHM_LOANED = 4,   /* server -> producer, answers LOAN */
  LIVEGATE_SHM_PUBLISH = 5,  /* producer -> server */
  LIVEGATE_SHM_RESULT = 6,   /* server -> producer, one for each published frame */
  LIVEGATE_SHM_RELEASE = 7,  /* producer -> server: a loan goes back unpublished */
  LIVEGATE_SHM_RETURNED = 8, /* server -> producer, answers RELEASE */
  LIVEGATE_SHM_BYE = 9,      /* both ways: the last word */
  LIVEGATE_SHM_ERROR = 10,   /* server -> producer */
  LIVEGATE_SHM_RELOANED = 11 /* server -> producer: RESULT, and its slot is on loan again */
};

enum livegate_shm_pixel_format {
  LIVEGATE_SHM_BGR = 1, /* rows of width x (blue, green, red), `stride` bytes apart */
  LIVEGATE_SHM_NV12 = 2 /* height rows of Y, then height/2 rows of U,V pairs; even sizes only */
};

/* hello.capabilities: what the producer asks for; grant.capabilities: what it got. */
#define LIVEGATE_SHM_CAP_RESULTS 1ull /* send me RESULTs */
#define LIVEGATE_SHM_CAP_RELOAN 2ull  /* and lend me their slots again: RELOANED */

enum livegate_shm_reason {
  LIVEGATE_SHM_JUDGED = 0,   /* there is a verdict, or the analysis itself failed with `code` */
  LIVEGATE_SHM_REPLACED = 1, /* a newer frame took its place in the queue */
  LIVEGATE_SHM_REJECTED = 2, /* the queue was full */
  LIVEGATE_SHM_EXPIRED = 3,  /* older than the server's maximum frame age */
  LIVEGATE_SHM_STOPPED = 4,  /* the server is shutting down */
  LIVEGATE_SHM_GONE = 5      /* the producer left first; seen in metrics only */
};

enum livegate_shm_decision { /* the numbers of livegate.v1.Decision */
  LIVEGATE_SHM_NO_DECISION = 0,
  LIVEGATE_SHM_GENUINE = 1,
  LIVEGATE_SHM_SPOOF = 2,
  LIVEGATE_SHM_FACE = 3,
  LIVEGATE_SHM_NO_FACE = 4
};

enum livegate_shm_gate { /* the numbers of livegate.v1.GateDecision: the word for a turnstile */
  LIVEGATE_SHM_NO_WORD = 0, /* nothing new for the person in front */
  LIVEGATE_SHM_OPEN = 1,
  LIVEGATE_SHM_HOLD = 2,
  LIVEGATE_SHM_DENY = 3
};

struct livegate_shm_header {
  uint32_t magic;
  uint16_t version;
  uint16_t type;
  uint32_t size; /* of the whole message, header included */
  uint32_t request;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_hello {
  struct livegate_shm_header header;
  char camera[LIVEGATE_SHM_CAMERA_BYTES]; /* letters, digits, . _ -; NUL-padded */
  uint32_t width;                         /* pixels */
  uint32_t height;                        /* pixels */
  uint32_t pixel_format;
  uint32_t slots; /* wanted; what counts is grant.slots, at least 3. 4 suits one camera */
  uint64_t capabilities;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_grant {
  struct livegate_shm_header header;
  uint64_t segment_id; /* random: names this memory on other faces of the server */
  uint64_t segment_bytes;
  uint64_t first_offset; /* of slot 0; slot n lies slot_bytes * n further */
  uint64_t slot_bytes;
  uint64_t capabilities;
  uint32_t slots;
  uint32_t stride;    /* bytes from row to row (BGR), or from Y row to Y row (NV12) */
  uint32_t uv_offset; /* NV12: of the UV plane inside the slot; BGR: 0 */
  uint32_t uv_stride; /* NV12: bytes from UV row to UV row; BGR: 0 */
} LIVEGATE_SHM_PACKED;

struct livegate_shm_loan {
  struct livegate_shm_header header;
  uint32_t wait_ms;  /* how long the answer may wait for a free slot; the server has a limit */
  uint32_t reloaned; /* RELOANED messages read on this connection; 0 without CAP_RELOAN */
} LIVEGATE_SHM_PACKED;

struct livegate_shm_loaned {
  struct livegate_shm_header header;
  uint64_t generation;
  uint64_t offset; /* of the slot inside the segment */
  uint32_t slot;
  uint32_t reserved;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_publish {
  struct livegate_shm_header header;
  uint64_t generation;
  uint64_t captured_ns; /* CLOCK_MONOTONIC; 0 = now */
  uint64_t frame_id;    /* the producer's own */
  uint32_t slot;
  uint32_t reserved;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_result {
  struct livegate_shm_header header;
  uint64_t frame_id;
  uint64_t generation;
  uint64_t queue_ns; /* from PUBLISH to the look at it */
  uint64_t work_ns;  /* the look at it */
  uint32_t slot;
  uint32_t code;   /* docs/errors.md; 0 = there is a verdict */
  uint32_t reason; /* enum livegate_shm_reason */
  uint32_t decision;
  uint32_t algo_task; /* whose decision and score: 1031, 9001 */
  uint32_t faces;     /* how many were found */
  float score;        /* 0..1, higher = more genuine; -1 = no face */
  float x;            /* the best face, in frame pixels; all 0 without one */
  float y;
  float face_width;
  float face_height;
  uint32_t gate; /* enum livegate_shm_gate; each word at most once for one person in front */
} LIVEGATE_SHM_PACKED;

struct livegate_shm_release {
  struct livegate_shm_header header;
  uint64_t generation;
  uint32_t slot;
  uint32_t reserved;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_returned {
  struct livegate_shm_header header;
  uint64_t generation;
  uint32_t slot;
  uint32_t reserved;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_bye {
  struct livegate_shm_header header;
} LIVEGATE_SHM_PACKED;

struct livegate_shm_error {
  struct livegate_shm_header header; /* request: of the message that was refused, else 0 */
  uint32_t code;
  uint32_t is_fatal;
  char text[LIVEGATE_SHM_TEXT_BYTES]; /* UTF-8, NUL-terminated */
} LIVEGATE_SHM_PACKED;

LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_header) == 16);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_hello) == 104);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_grant) == 72);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_loan) == 24);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_loaned) == 40);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_publish) == 48);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_result) == 96);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_release) == 32);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_returned) == 32);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_bye) == 16);
LIVEGATE_SHM_ASSERT(sizeof(struct livegate_shm_error) == 224);
LIVEGATE_SHM_ASSERT(offsetof(struct livegate_shm_hello, capabilities) == 96);
LIVEGATE_SHM_ASSERT(offsetof(struct livegate_shm_grant, slots) == 56);
LIVEGATE_SHM_ASSERT(offsetof(struct livegate_shm_loaned, slot) == 32);
LIVEGATE_SHM_ASSERT(offsetof(struct livegate_shm_publish, slot) == 40);
LIVEGATE_SHM_ASSERT(offsetof(struct livegate_shm_result, score) == 72);
LIVEGATE_SHM_ASSERT(offsetof(struct livegate_shm_error, text) == 24);

/* A header for a message of `size` bytes; the caller zeroes the rest of the message first. */
static inline struct livegate_shm_header livegate_shm_header_for(uint16_t type, uint32_t size,
                                                                 uint32_t request) {
  struct livegate_shm_header header;
  header.magic = LIVEGATE_SHM_MAGIC;
  header.version = LIVEGATE_SHM_VERSION;
  header.type = type;
  header.size = size;
  header.request = request;
  return header;
}

#endif /* LIVEGATE_SHM_H */
