/* Ranks that die, over real MPI: this program starts itself under mpirun, and its ranks send each
 * other small and large messages both ways while one of them ends.
 *
 *     test_mpi_lost [REPEAT [MPIRUN OPTION ..]]    to try it more often, or over TCP
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adapters/transport.h"
#include "cunit.h"

#define N 60
#define IN_FLIGHT 4
#define LARGE (1 << 20)
#define BYE UINT32_MAX
#define STOPS (UINT32_MAX - 1)
#define CUT (UINT32_MAX - 2) /* large, and maybe never whole */
#define N_CUT 12             /* more than are received at once */

/* -- the ranks ---------------------------------------------------------------------------- */

/* What happens to a rank when it gets its message number `at`. */
struct play {
    const char *what; /* none, killed: before it answers, sends: in its answer, stops, midway: it
                         stops in the middle of large messages */
    uint32_t victim, at;
};

static size_t size_of(uint32_t number)
{
    return number % 2 ? LARGE : 64;
}

static void send_number(struct bq_transport *t, uint32_t to, uint32_t number)
{
    static uint32_t words[LARGE / 4];
    size_t size = number >= STOPS ? 4 : size_of(number);
    for (size_t i = 0; i < size / 4; i++)
        words[i] = number + (uint32_t)i;
    if (bq_transport_send_copy(t, to, words, size, NULL) < 0)
        abort();
}

static uint32_t number_in(const uint32_t *words, size_t size)
{
    uint32_t number = words[0];
    if (size != (number >= STOPS ? 4 : size_of(number)))
        abort();
    for (size_t i = 0; i < size / 4; i++) {
        if (words[i] != number + (uint32_t)i)
            abort();
    }
    return number;
}

static void meet_fate(const struct bq_transport *t, const struct play *play, const char *what,
                      uint32_t number)
{
    if (t->rank == play->victim && number == play->at && strcmp(play->what, what) == 0)
        raise(SIGKILL);
}

static void stop(struct bq_transport *t, const struct play *play)
{
    bool is_midway = strcmp(play->what, "midway") == 0;
    if (!is_midway && strcmp(play->what, "stops") != 0)
        return;
    send_number(t, 0, STOPS);
    while (bq_transport_progress(t, NULL) > 0)
        bq_transport_wait(t, 1000000, -1);
    for (unsigned i = 0; i < N_CUT && is_midway; i++)
        send_number(t, 0, CUT);
    raise(SIGSTOP);
}

static int kitchen(struct bq_transport *t, const struct play *play)
{
    for (;;) {
        uint32_t from, number;
        void *bytes;
        size_t size;
        int got = bq_transport_receive(t, &from, &bytes, &size, NULL);
        if (got < 0 || bq_transport_progress(t, NULL) < 0)
            return 1;
        if (got) {
            number = number_in(bytes, size);
            bq_transport_done_with(t);
            if (number == BYE) {
                send_number(t, 0, BYE);
                if (strcmp(play->what, "none"))
                    bq_transport_is_broken(t);
                return 0;
            }
            meet_fate(t, play, "killed", number);
            if (t->rank == play->victim && number == play->at)
                stop(t, play);
            send_number(t, 0, number);
            meet_fate(t, play, "sends", number);
        } else if (bq_transport_lost(t, &from)) {
            return from == 0 && play->victim == 0 ? 0 : 1;
        } else {
            bq_transport_wait(t, 100000000, -1);
        }
    }
}

struct guest {
    uint32_t n_sent, n_back;
    bool is_lost, is_stopped;
};

static bool is_over(const struct guest *g, uint32_t n_ranks)
{
    for (uint32_t i = 1; i < n_ranks; i++) {
        if (!g[i].is_lost && !g[i].is_stopped && g[i].n_back < N)
            return false;
    }
    return true;
}

static int coordinator(struct bq_transport *t, const struct play *play)
{
    struct guest g[8] = {{0}};
    bool was_told = false, is_parting = false;
    uint32_t n_byes = 0;
    for (;;) {
        for (uint32_t i = 1; i < t->n_ranks; i++) {
            while (!is_parting && g[i].n_sent < N && g[i].n_sent < g[i].n_back + IN_FLIGHT) {
                send_number(t, i, g[i].n_sent++); /* to who is lost, too: it goes nowhere */
                if (g[i].is_lost)
                    g[i].n_back++;
            }
        }
        uint32_t from;
        void *bytes;
        size_t size;
        int got = bq_transport_receive(t, &from, &bytes, &size, NULL);
        if (got < 0 || bq_transport_progress(t, NULL) < 0)
            return 1;
        if (got) {
            uint32_t number = number_in(bytes, size);
            bq_transport_done_with(t);
            if (g[from].is_lost)
                return 2; /* it was told too early, or what came later was not dropped */
            if (number == STOPS) {
                g[from].is_stopped = true;
            } else if (number == CUT) {
                if (!g[from].is_stopped)
                    return 6; /* it has overtaken what was sent before */
            } else if (number == BYE) {
                n_byes++;
            } else if (number != g[from].n_back++) {
                return 3; /* one is missing in the middle */
            }
            meet_fate(t, play, "killed", number);
        } else if (bq_transport_lost(t, &from)) {
            if (from != play->victim || was_told)
                return 4; /* not it, or not once */
            g[from].is_lost = was_told = true;
            if (g[from].n_back + IN_FLIGHT < play->at)
                return 5; /* it had been received already */
        } else {
            bq_transport_wait(t, 100000000, -1);
        }
        /* Midway: not before the others have got all that they ask for. */
        bool is_midway = strcmp(play->what, "midway") == 0;
        if (g[play->victim].is_stopped && !was_told && (!is_midway || is_over(g, t->n_ranks))) {
            bq_transport_abandon(t, play->victim, true);
            g[play->victim].is_lost = was_told = true;
        }
        bool waits = strcmp(play->what, "none") && !was_told;
        if (!is_parting && is_over(g, t->n_ranks) && !waits) {
            is_parting = true;
            for (uint32_t i = 1; i < t->n_ranks; i++)
                send_number(t, i, BYE);
        }
        if (is_parting && n_byes + was_told + 1 == t->n_ranks)
            return 0;
    }
}

static int take_part(char **argv)
{
    struct play play = {argv[1], (uint32_t)atoi(argv[2]), (uint32_t)atoi(argv[3])};
    struct bq_error err = {0};
    struct bq_transport *t = bq_transport_mpi(&err);
    if (!t)
        return 1;
    uint32_t rank = t->rank;
    int code = rank ? kitchen(t, &play) : coordinator(t, &play);
    bq_mpi_is_due(code);
    bq_transport_destroy(t);
    bool is_lame = strcmp(play.what, "none");
    if (code == 0 && (bq_mpi_must_leave() == is_lame || play.victim == 0))
        printf("%s\n", rank ? "kitchen is well" : "coordinator is well");
    else
        printf("rank %u: code %d, %s\n", rank, code,
               bq_mpi_must_leave() ? "must leave" : "may stay");
    fflush(stdout);
    if (bq_mpi_must_leave())
        _exit(code);
    return code;
}

/* -- the tests ---------------------------------------------------------------------------- */

static const char *program, *options = "";
static unsigned repeat = 1;

/* How many ranks end well. */
static int play_once(const char *what, unsigned n_ranks, unsigned victim, unsigned at)
{
    char command[1000], line[200];
    int n_well = 0;
    snprintf(command, sizeof command,
             "timeout --foreground -k 5 60 mpirun --oversubscribe --bind-to none --enable-recovery "
             "--mca async_mpi_finalize 1 %s -n %u '%s' %s %u %u 2>&1",
             options, n_ranks, program, what, victim, at);
    FILE *out = popen(command, "r");
    if (!out)
        return -1;
    while (fgets(line, sizeof line, out)) {
        n_well += strstr(line, "is well") != NULL;
        if (!strstr(line, "is well") && !strstr(line, "PMIX ERROR"))
            printf("\n    %s %u %u: %s", what, victim, at, line);
    }
    pclose(out);
    return n_well;
}

static void play_often(const char *what, unsigned n_ranks, unsigned victim)
{
    static const unsigned when[] = {4, 9, 30, 55, 13, 22, 40, 47};
    unsigned n = repeat > 1 ? repeat : 2;
    for (unsigned i = 0; i < n; i++)
        CU_ASSERT_EQUAL(play_once(what, n_ranks, victim, when[i % 8]), (int)n_ranks - 1);
}

static void nobody_dies(void)
{
    CU_ASSERT_EQUAL(play_once("none", 3, 1, 0), 3);
}

static void a_kitchen_is_killed(void)
{
    play_often("killed", 3, 1);
}

static void a_kitchen_is_killed_as_it_sends(void)
{
    play_often("sends", 3, 2);
}

static void a_kitchen_stands_still(void)
{
    play_often("stops", 3, 1);
}

static void a_kitchen_stops_midway(void)
{
    play_often("midway", 4, 1);
    /* Through shared memory a message can be read whole out of a stopped process; not so here. */
    const char *given = options;
    options = "--mca btl tcp,self";
    play_often("midway", 4, 1);
    options = given;
}

static void the_coordinator_is_killed(void)
{
    play_often("killed", 3, 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"when nobody dies, nobody is lost and MPI ends as ever", nobody_dies},
        {"a kitchen that is killed is told once, and the others finish", a_kitchen_is_killed},
        {"what a killed kitchen sent whole is received, the rest dropped",
         a_kitchen_is_killed_as_it_sends},
        {"a kitchen that stands still is abandoned and ended", a_kitchen_stands_still},
        {"a kitchen that stops in the middle of messages holds up nobody else's",
         a_kitchen_stops_midway},
        {"kitchens learn that the coordinator is gone", the_coordinator_is_killed},
    };
    static char text[400];
    if (bq_mpi_is_launched())
        return argc == 4 ? take_part(argv) : 2;
    if (system("command -v mpirun >/dev/null") != 0) {
        printf("SKIPPED: there is no mpirun here\n");
        return 77;
    }
    /* Bytes are leaked to ranks that are gone, on purpose. */
    setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    program = argv[0];
    if (argc > 1)
        repeat = (unsigned)atoi(argv[1]);
    for (int i = 2; i < argc; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " %s", argv[i]);
    options = text;
    return run_tests("MPI with ranks that die", tests, sizeof tests / sizeof *tests);
}
