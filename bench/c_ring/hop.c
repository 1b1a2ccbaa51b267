/* The physical limit of one hop: `hop send|receive RING RUN_ID COUNT GAP_CYCLES`, on a core each.
 *
 * The same ring, byte for byte, as engine/bus: tests/ipc/c/ring.h. The sender spins GAP_CYCLES
 * between records and stamps each with the cycle counter; the receiver spins and prints the cycles
 * every record took, one a line.
 */
#include "ring.h"

#include <inttypes.h>
#include <stdio.h>
#include <x86intrin.h>

enum { GIVE_UP_CYCLES_LOG2 = 36 };

static int64_t now(void) { return (int64_t)__rdtsc(); }

static int send_paced(ring *r, int64_t count, int64_t gap) {
    int64_t record[RECORD_WORDS] = {0};
    for (int64_t i = 0; i < count; i++) {
        int64_t due = now() + gap;
        while (now() < due) _mm_pause();
        record[0] = now();
        if (!ring_offer(r, record, 1)) return 1;
    }
    return 0;
}

static int receive(ring *r, int64_t count) {
    int64_t record[RECORD_WORDS];
    int64_t *taken = calloc((size_t)count, sizeof *taken);
    int64_t give_up = now() + (INT64_C(1) << GIVE_UP_CYCLES_LOG2);
    for (int64_t i = 0; i < count; i++) {
        while (!ring_take(r, record, 1)) {
            if (now() > give_up) return 1;
            _mm_pause();
        }
        taken[i] = now() - record[0];
    }
    for (int64_t i = 0; i < count; i++) printf("%" PRId64 "\n", taken[i]);
    free(taken);
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 6) return 2;
    bool is_sender = !strcmp(argv[1], "send");
    int64_t count = strtoll(argv[4], NULL, 10);
    ring r;
    const char *error = ring_attach(&r, argv[2], QUEUE, is_sender ? WRITER : READER,
                                    strtoll(argv[3], NULL, 10));
    if (error) {
        fprintf(stderr, "%s\n", error);
        return 3;
    }
    int code = is_sender ? send_paced(&r, count, strtoll(argv[5], NULL, 10)) : receive(&r, count);
    ring_close(&r);
    return code;
}
