/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands; ARGV[0] is the command's name. They return the exit code. */
#ifndef PEAL_CLI_COMMANDS_H
#define PEAL_CLI_COMMANDS_H

int run_main(int argc, char **argv);
int serve_main(int argc, char **argv);
int probe_main(int argc, char **argv);
int irq_main(int argc, char **argv);
int decode_main(int argc, char **argv);
int trace_main(int argc, char **argv);
int bench_main(int argc, char **argv);

#endif
