/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that may be no UTF-8, such as the name of a file, in JSON. */
#ifndef PEAL_CLI_JSON_TEXT_H
#define PEAL_CLI_JSON_TEXT_H

#include <jansson.h>

/* A string, with '?' for what is not ASCII if it is no UTF-8; null for NULL and "". */
json_t *json_text(const char *text);

#endif
