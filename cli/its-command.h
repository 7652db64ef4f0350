/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ITS commands as people read them: name, every field, and what is wrong with it. Arm IHI 0069H
 * §5.3, with PTA 0. For `peal decode its` and `peal trace its`.
 */
#ifndef PEAL_CLI_ITS_COMMAND_H
#define PEAL_CLI_ITS_COMMAND_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define ITS_COMMAND_SIZE    32u
#define ITS_COMMAND_TEXT    160u /* bytes of the longest text */
#define ITS_COMMAND_REMARKS 6u

/* "MAPTI device 0x8 event 3 intid 8195 icid 0"; an unknown command with its four doublewords. */
void its_command_text(const uint64_t dw[4], char text[ITS_COMMAND_TEXT]);

/* Puts "name" (null: unknown), "opcode", the fields and "doublewords" into OBJECT. */
void its_command_json(const uint64_t dw[4], json_t *object);

/* Sentences on what is wrong with the command by itself; how many there are. */
unsigned its_command_remarks(const uint64_t dw[4], char remarks[ITS_COMMAND_REMARKS][80]);

/* What the low byte of a command error says; "unknown error" for what is none. */
const char *its_error_text(uint32_t error);

#endif
