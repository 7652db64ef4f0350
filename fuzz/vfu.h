/* SPDX-License-Identifier: BSD-2-Clause */
/* What the targets of vfio-user share: counting memory and descriptors, and sending with some. */
#ifndef PEAL_FUZZ_VFU_H
#define PEAL_FUZZ_VFU_H

#include <fcntl.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <peal/base.h>

#include <vfio/user/wire.h>

#define FUZZ_ASSERT(condition) ((condition) ? (void)0 : abort())
#define FUZZ_FDS               20u
#define FUZZ_MOST_FDS          96 /* that this process can come to */
#define FUZZ_KINDS             4u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* A host that counts its memory; the first member of what a target has. */
struct fuzz_host {
	struct peal_host host;
	int64_t live;          /* bytes */
	int kinds[FUZZ_KINDS]; /* descriptors of different kinds */
};

static inline void *fuzz_alloc(void *user, size_t size)
{
	struct fuzz_host *h = (struct fuzz_host *)user;
	void *p = peal_alloc(peal_host_default(), size);

	FUZZ_ASSERT(size < (64u << 20));
	if (p)
		(void)__atomic_fetch_add(&h->live, (int64_t)size, __ATOMIC_RELAXED);
	return p;
}

static inline void fuzz_free(void *user, void *pointer, size_t size)
{
	struct fuzz_host *h = (struct fuzz_host *)user;

	(void)__atomic_fetch_sub(&h->live, (int64_t)size, __ATOMIC_RELAXED);
	peal_free(peal_host_default(), pointer, size);
}

static inline void fuzz_host_init(struct fuzz_host *h)
{
	h->host = *peal_host_default();
	h->host.alloc = fuzz_alloc;
	h->host.free = fuzz_free;
	h->host.user = h;
	h->kinds[0] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	h->kinds[1] = memfd_create("ram", MFD_CLOEXEC);
	FUZZ_ASSERT(ftruncate(h->kinds[1], 65536) == 0);
	h->kinds[2] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	h->kinds[3] = open("/dev/zero", O_RDWR | O_CLOEXEC);
}

/* BYTES with NFDS times the descriptor ANY. false: the socket is full, or gone. */
static inline bool fuzz_send(int fd, const void *bytes, size_t size, int any, unsigned nfds)
{
	char control[CMSG_SPACE(FUZZ_FDS * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
	struct msghdr msg = { .msg_iov = &part, .msg_iovlen = 1 };

	if (nfds) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		for (unsigned i = 0; i < nfds; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &any, sizeof(int));
	}
	return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

/* How many descriptors are open. */
static inline unsigned fuzz_open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < FUZZ_MOST_FDS; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

#endif
