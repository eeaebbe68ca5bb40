#!/usr/bin/env bash
# Every kernel that filters, steps, maps points and learns, through the program: in one process and
# in kitchens, against numpy and scipy.
. "$(dirname "$0")/cli.bash"
python=/usr/bin/python3

$python -c 'import h5py, numpy, scipy.ndimage' 2>/dev/null || {
    echo "SKIPPED everything: python3-h5py or python3-scipy is not installed"
    exit 77
}
n_checks=$((n_checks + 1))
$python -W ignore "$root/tests/cli_kernels.py" "$banquet" || fail "kernels agree with numpy and scipy"
finish
