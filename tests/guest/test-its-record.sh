#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# Linux runs in QEMU now, is recorded, and replayed with Peal's ITS (tests/gic/test-linux-replay.c
# does that with the recordings that are kept). Prints TAP.
set -u
here=$PEAL_SOURCE_ROOT/tests/guest
replay=$(dirname "$PEAL")/tests/test-gic-linux-replay
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM

check() { # NUMBER NAME RECORD-ITS-ARGS...
	local number=$1 name=$2
	shift 2
	"$here/record-its" "$dir/recording" "$@" >"$dir/log" 2>&1
	case $? in
	0)
		if ! "$replay" "$dir/recording" >"$dir/log" 2>&1; then
			grep -v '^ok' "$dir/log" | sed 's/^/# /'
			printf 'not '
		fi
		;;
	77) grep '^# skip: ' "$dir/log" ;;
	*)
		sed 's/^/# /' "$dir/log"
		printf 'not '
		;;
	esac
	echo "ok $number - $name"
}

echo 1..2
check 1 'virtio devices'
check 2 'devices behind root ports' --wide
