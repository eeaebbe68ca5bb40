/* waits_threads N WAIT_MS THREADS: N waits, taken by so many threads from one counter; prints the
 * seconds that takes, the start of the threads included, as banquet's makespan includes its cooks'.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static atomic_long next;
static long n;
static struct timespec wait;

static void *work(void *unused)
{
    (void)unused;
    while (atomic_fetch_add(&next, 1) < n)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    n = atol(argv[1]);
    long ns = (long)(atof(argv[2]) * 1e6), n_threads = atol(argv[3]);
    wait = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    pthread_t *thread = calloc((size_t)n_threads, sizeof *thread);
    double begin = now();
    for (long i = 0; thread && i < n_threads; i++) {
        if (pthread_create(&thread[i], NULL, work, NULL)) {
            fprintf(stderr, "thread %ld could not be started\n", i);
            return 1;
        }
    }
    for (long i = 0; thread && i < n_threads; i++)
        pthread_join(thread[i], NULL);
    printf("%.6f\n", now() - begin);
    free(thread);
    return 0;
}
