#include "banquet/banquet.h"

int main(int argc, char **argv)
{
    return bq_program(argc, argv, NULL, 0);
}
