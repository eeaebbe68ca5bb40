/* The same task for Python, which calls it through ctypes. */
#include "spin.h"

void spin_us(double us);

void spin_us(double us)
{
    spin(us);
}
