/* banquet join FILE: a kitchen for a job that runs. */
#include "cli/cli.h"
#include "run/guest.h"

enum { KEY_HOST = 256 };

struct join {
    const char *file, *host;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct join *j = state->input;
    switch (key) {
    case KEY_HOST:
        j->host = arg;
        break;
    case ARGP_KEY_ARG:
        if (j->file)
            argp_error(state, "one run at a time: '%s' is one too many", arg);
        j->file = arg;
        break;
    case ARGP_KEY_END:
        if (!j->file)
            argp_error(state, "which run? The file that `banquet run JOB.yaml --door FILE` made");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int bq_cmd_join(int argc, char **argv, const struct bq_cli *cli)
{
    static const struct argp_option options[] = {
        {"host", KEY_HOST, "NAME", 0, "Reach the run there, and not where the file says", 1}, {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "FILE",
        .doc = "Join a job that runs, as one more kitchen: FILE is what `banquet run JOB.yaml "
               "--door FILE` made.\v"
               "It leaves when the job is over. SIGINT, SIGTERM or SIGUSR2: it finishes what its "
               "cooks have begun, gives back the rest, and leaves. It may be killed, too: others "
               "do its work. Whoever can read FILE can join; what is sent is not encrypted."};
    struct join j = {0};
    struct bq_error err = {0};
    int code = bq_cli_parse(&argp, argc, argv, &j, cli);
    if (code)
        return code;
    code = bq_guest(j.file, j.host, &cli->registry, &err);
    return err.text[0] ? bq_cli_complain(&err) : code;
}
