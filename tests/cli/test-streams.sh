#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What `peal run` does when its surroundings are not as usual: closed or full standard streams, an
# image that loses its name, signals. Prints TAP; needs $PEAL.
set -u
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
cd "$dir" || exit 1
number=0

result() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		for file in out err; do
			[ ! -e "$file" ] || head -c 1000 "$file" | sed 's/^/# /'
		done
	fi
	rm -f out err
}

image() { # NAME MIB
	head -c "$(($2 * 1048576))" /dev/zero >"$1"
}

echo 1..8

# More output than stdio keeps back, so it is written while the disk is open.
image disk 1
"$PEAL" run --disk disk --write --mode verify --queues 64 --json >&- 2>err
code=$?
[ $code -eq 1 ] && grep -q 'cannot write the output' err && ! grep -aq irqchip disk
result $? output_to_a_closed_stream_does_not_go_to_the_disk

"$PEAL" run --disk disk --write --mode write --queues 64 --json <&- >&- 2>&-
code=$?
[ $code -eq 1 ] && ! grep -aq -e irqchip -e 'peal:' disk
result $? no_standard_stream_at_all_is_no_reason_to_write_to_the_disk

"$PEAL" run --disk disk --json >/dev/full 2>err
code=$?
[ $code -eq 1 ] && grep -q 'cannot write the output' err
result $? output_that_cannot_be_written_is_a_failure

"$PEAL" bench >/dev/full 2>err
code=$?
[ $code -eq 1 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q 'cannot write the output' err
result $? output_of_a_bench_that_cannot_be_written_is_told_once

# The reader is gone before there is anything to write: nothing can be written any more.
{
	trap '' PIPE
	while printf x 2>/dev/null; do :; done
	"$PEAL" run --disk disk --json 2>err
	echo $? >out
} | exec true
[ "$(cat out)" != 0 ] && [ ! -s err ]
result $? a_pipe_that_nobody_reads_is_a_quiet_failure

# The name goes as soon as the process has the file open.
image gone 48
"$PEAL" run --disk gone --block-size 512 --depth 1 --queues 1 --json >out 2>err &
until ls -l /proc/$!/fd 2>/dev/null | grep -q gone || ! kill -0 $! 2>/dev/null; do :; done
sleep 0.1
rm gone
wait $! && grep -q '"ok":true' out
result $? an_image_without_a_name_is_still_hashed

# Reading is quick here and hashing is not: the signal comes while the file is hashed.
truncate -s 1G large
"$PEAL" run --disk large --block-size 1M --json >out 2>err &
while [ "$(ls /proc/$!/task 2>/dev/null | wc -l)" -eq 1 ]; do :; done
while [ "$(ls /proc/$!/task 2>/dev/null | wc -l)" -gt 3 ]; do sleep 0.05; done
kill -INT $!
wait $!
code=$?
[ $code -eq 1 ] && grep -q '"interrupted":true' out
result $? a_signal_ends_the_hashing_of_the_file

"$PEAL" run -xy >out 2>err
code=$?
[ $code -eq 2 ] && grep -q -e '-x: unknown option' err
result $? an_unknown_letter_is_named
