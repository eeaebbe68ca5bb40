/* A kernel of one's own, and the program around it:
 *
 *     gcc invert.c -o invert $(pkg-config --cflags --libs banquet)
 *     ./invert run invert.yaml
 */
#include <banquet/banquet.h>

#include <stdio.h>

/* Once, before the first chunk: what can be done, and what comes out. */
static int prepare(struct bq_setup *setup)
{
    if (setup->in_type == BQ_U8)
        return 0; /* the output has the type of the input, unless out_type is set */
    snprintf(setup->message, sizeof setup->message, "it inverts uint8, not %s",
             bq_type_name(setup->in_type));
    return -1;
}

/* For every chunk, by many threads at once: its result depends on its arguments alone. */
static enum bq_answer cook(struct bq_call *call)
{
    const uint8_t *in = call->in->data;
    uint8_t *out = call->out->data;
    for (uint64_t i = 0; i < call->in->n; i++)
        out[i] = (uint8_t)(255 - in[i]);
    return BQ_DONE;
}

static const struct bq_kernel invert = {
    .abi = BQ_KERNEL_ABI,
    .flags = BQ_READS | BQ_WRITES,
    .name = "invert",
    .summary = "makes a negative",
    .prepare = prepare,
    .cook = cook,
};

int main(int argc, char **argv)
{
    const struct bq_kernel *mine[] = {&invert};
    return bq_program(argc, argv, mine, 1);
}
