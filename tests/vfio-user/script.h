/* SPDX-License-Identifier: BSD-2-Clause */
/* A server that is a script: answers to one command after the other, in a thread. */
#ifndef PEAL_TESTS_VFIO_USER_SCRIPT_H
#define PEAL_TESTS_VFIO_USER_SCRIPT_H

#include "rig.h"

#define LIMIT_MS 60

struct script {
	int fd;
	/* Answers CHANNEL's message; false: the script ends. */
	bool (*answer)(struct script *script, struct vfu_message *message);
	struct vfu_channel channel;
	unsigned step;
	unsigned variant;
	pthread_t thread;
};

static inline void say(struct script *s, const struct vfu_header *header, uint32_t flags,
		       const void *data, size_t size, const int *fds, unsigned nfds)
{
	struct vfu_out out = {
		.header = *header, .data = data, .data_size = size, .fds = fds, .nfds = nfds
	};

	out.header.flags = flags;
	(void)vfu_channel_send(&s->channel, &out); /* the client may be gone */
}

/* As an honest server of a device with one region of 4096 bytes and one interrupt. */
static inline bool honest(struct script *s, struct vfu_message *m)
{
	static const uint8_t version[] = "\0\0\0\0{\"capabilities\":{\"max_msg_fds\":4}}";
	struct vfu_device_info info = { 16, 3, 1, 1 };
	struct vfu_region_info region = { 32, 3, 0, 0, 4096, 0 };
	struct vfu_irq_info irq = { 16, 9, 0, 1 };
	uint8_t bytes[16 + 4096] = { 0 };
	struct vfu_region_access access;

	switch (m->header.command) {
	case VFU_VERSION:
		say(s, &m->header, 1, version, sizeof(version), NULL, 0);
		return true;
	case VFU_DEVICE_GET_INFO:
		say(s, &m->header, 1, &info, sizeof(info), NULL, 0);
		return true;
	case VFU_DEVICE_GET_REGION_INFO:
		say(s, &m->header, 1, &region, sizeof(region), NULL, 0);
		return true;
	case VFU_DEVICE_GET_IRQ_INFO:
		say(s, &m->header, 1, &irq, sizeof(irq), NULL, 0);
		return true;
	case VFU_REGION_READ:
		memcpy(&access, m->payload, sizeof(access));
		memcpy(bytes, &access, sizeof(access));
		say(s, &m->header, 1, bytes, 16 + access.count, NULL, 0);
		return true;
	default:
		say(s, &m->header, 1, NULL, 0, NULL, 0);
		return true;
	}
}

static inline void *run_script(void *user)
{
	static __thread struct vfu_message message;
	struct script *s = (struct script *)user;
	bool go = true;

	while (go && vfu_channel_receive(&s->channel, &message, RIG_TIMEOUT) == 0) {
		go = s->answer(s, &message);
		vfu_fds_close(&message.fds);
		s->step++;
	}
	return NULL;
}

static inline int start(struct script *s, struct peal_vfu_client **client, uint64_t max_data)
{
	const struct peal_vfu_client_config config = {
		.host = peal_host_default(),
		.timeout_ms = LIMIT_MS,
		.max_data_xfer_size = max_data,
	};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(vfu_channel_init(&s->channel, peal_host_default(), pair[0], 1 << 21,
					  VFU_FDS_MAX, RIG_TIMEOUT),
			 0);
	s->step = 0;
	assert_int_equal(pthread_create(&s->thread, NULL, run_script, s), 0);
	return peal_vfu_client_new(client, &config, pair[1]);
}

static inline void end(struct script *s, struct peal_vfu_client *client)
{
	peal_vfu_client_free(client);
	assert_int_equal(pthread_join(s->thread, NULL), 0);
	vfu_channel_done(&s->channel);
}

#endif
