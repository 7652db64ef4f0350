/* SPDX-License-Identifier: BSD-2-Clause */
#include <stdlib.h>
#include <string.h>

#include "json-text.h"

json_t *json_text(const char *text)
{
	json_t *string;
	char *ascii;

	if (!text || !*text)
		return json_null();
	string = json_string(text);
	if (string)
		return string;
	ascii = strdup(text);
	for (char *at = ascii; at && *at; at++) {
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	}
	string = ascii ? json_string(ascii) : NULL;
	free(ascii);
	return string;
}
