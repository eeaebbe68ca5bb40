/* The main of a fuzz target where there is no libFuzzer: runs the files that it is given, and those
 * in the folders that it is given. A file that does harm ends the program, as libFuzzer would; its
 * name is the last line. */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t n_run;

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) != 0) {
        perror(path);
        return -1;
    }
    size_t n = (size_t)st.st_size;
    unsigned char *bytes = exactly(n);
    int rc = fread(bytes, 1, n, file) == n ? 0 : -1;
    fclose(file);
    if (rc == 0) {
        printf("%s\n", path);
        fflush(stdout);
        LLVMFuzzerTestOneInput(bytes, n);
        n_run++;
    }
    free(bytes);
    return rc;
}

static int run_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, NULL, alphasort), rc = 0;
    for (int i = 0; i < n; i++) {
        size_t size = strlen(path) + strlen(entries[i]->d_name) + 2;
        char *name = exactly(size);
        snprintf(name, size, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && run_file(name) != 0)
            rc = -1;
        free(name);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return rc;
}

int main(int argc, char **argv)
{
    int rc = 0;
    for (int i = 1; i < argc; i++) {
        struct stat st;
        rc |= stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? run_folder(argv[i])
                                                             : run_file(argv[i]);
    }
    printf("%zu inputs\n", n_run);
    return rc != 0 || n_run == 0;
}
