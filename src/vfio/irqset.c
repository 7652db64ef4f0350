/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The irqset: its life, triggers, and the way of a request to the index and action it is for.
 * uapi linux/vfio.h, VFIO_DEVICE_SET_IRQS.
 *
 * Invariants: a trigger is out of its vector before it is given back, and in between everybody who
 * could be signalling it has left the vector's sections. At most one of INTx, MSI and MSI-X is
 * active, and only vectors of an active index, of ERR and of REQ have triggers.
 *
 * Lock order: the irqset's mutex → whatever the ops take. Signalling takes none.
 */
#include <peal/bits.h>

#include "irqset.h"

#define MSI_VECTORS  32u
#define MSIX_VECTORS 2048u

#define LOOKS 256u /* a section is short */

#define DYNAMIC (PEAL_IRQSET_DYNAMIC | PEAL_IRQSET_DYNAMIC_MSI)

/* ---- requests ---- */

int irq_block_fd(const struct irq_block *block, uint32_t i)
{
	int32_t fd;

	if (block->message)
		return block->fds ? block->fds[i] : -1;
	memcpy(&fd, block->bytes + (size_t)i * sizeof(fd), sizeof(fd));
	return fd;
}

bool irq_block_bool(const struct irq_block *block, uint32_t i)
{
	return block->data == PEAL_VFIO_DATA_NONE || block->bytes[i];
}

static bool one_bit_of(uint32_t flags, uint32_t mask)
{
	return peal_is_power_of_two(flags & mask);
}

/* 4.6 checked the range only if there was data (CVE-2016-9083). */
static bool has_free_range(const struct peal_irqset *irqset, uint32_t flags)
{
	return irqset->config.compat == PEAL_IRQSET_LINUX_4_6 && flags & PEAL_VFIO_DATA_NONE;
}

static int check_range(const struct peal_irqset *irqset, const struct peal_irqset_request *request)
{
	uint32_t vectors = irqset->config.count[request->index];

	if (request->count >= UINT32_MAX - request->start)
		return -EINVAL;
	return request->start < vectors && request->start + request->count <= vectors ? 0 : -EINVAL;
}

/* Bytes of payload; descriptors of a message are not in it. In 64 bits: CVE-2016-9084. */
static uint64_t payload_size(const struct irq_block *block)
{
	static const uint8_t sizes[] = {
		[PEAL_VFIO_DATA_NONE] = 0,
		[PEAL_VFIO_DATA_BOOL] = sizeof(uint8_t),
		[PEAL_VFIO_DATA_EVENTFD] = sizeof(int32_t),
	};

	if (block->data == PEAL_VFIO_DATA_EVENTFD && block->message)
		return 0;
	return (uint64_t)block->count * sizes[block->data];
}

/* What is refused before the state is looked at. */
static int check(const struct peal_irqset *irqset, const struct peal_irqset_request *request,
		 const struct irq_block *block, size_t size, unsigned nfds)
{
	uint64_t payload;

	if (request->argsz < PEAL_VFIO_IRQ_REQUEST_SIZE || request->index >= PEAL_VFIO_IRQS ||
	    request->flags & ~(PEAL_VFIO_DATA | PEAL_VFIO_ACTION) ||
	    !one_bit_of(request->flags, PEAL_VFIO_DATA))
		return -EINVAL;
	if (!has_free_range(irqset, request->flags) && check_range(irqset, request) < 0)
		return -EINVAL;
	payload = payload_size(block);
	if (payload > request->argsz - PEAL_VFIO_IRQ_REQUEST_SIZE || payload > size)
		return -EINVAL;
	if (nfds && (block->data != PEAL_VFIO_DATA_EVENTFD || nfds != request->count))
		return -EINVAL;
	return one_bit_of(request->flags, PEAL_VFIO_ACTION) ? 0 : -ENOTTY;
}

/* By index and action; what is not here is -ENOTTY. */
static irq_action_fn *const actions[PEAL_VFIO_IRQS][3] = {
	[PEAL_VFIO_IRQ_INTX] = { irq_intx_mask, irq_intx_unmask, irq_intx_trigger },
	[PEAL_VFIO_IRQ_MSI] = { NULL, NULL, irq_messages_trigger },
	[PEAL_VFIO_IRQ_MSIX] = { NULL, NULL, irq_messages_trigger },
	[PEAL_VFIO_IRQ_ERR] = { NULL, NULL, irq_single_trigger },
	[PEAL_VFIO_IRQ_REQ] = { NULL, NULL, irq_single_trigger },
};

static int act(struct peal_irqset *irqset, const struct peal_irqset_request *request,
	       struct irq_block *block, size_t size, unsigned nfds)
{
	irq_action_fn *action;
	int r;

	block->index = request->index;
	block->start = request->start;
	block->count = request->count;
	block->data = request->flags & PEAL_VFIO_DATA;
	r = check(irqset, request, block, size, nfds);
	if (r < 0)
		return r;
	action = actions[request->index][__builtin_ctz(request->flags & PEAL_VFIO_ACTION) - 3];
	if (!action)
		return -ENOTTY;
	peal_mutex_lock(&irqset->mutex);
	r = action(irqset, block);
	peal_mutex_unlock(&irqset->mutex);
	return r;
}

static int count_refusal(struct peal_irqset *irqset, int r)
{
	if (r < 0)
		peal_count(&irqset->refused, 1);
	return r;
}

int peal_irqset_set(struct peal_irqset *irqset, const struct peal_irqset_request *request,
		    const void *data, size_t size)
{
	struct irq_block block = { .bytes = data };

	PEAL_ASSERT(data || !size);
	return count_refusal(irqset, act(irqset, request, &block, size, 0));
}

int peal_irqset_set_message(struct peal_irqset *irqset, const struct peal_irqset_request *request,
			    const void *data, size_t size, const int *fds, unsigned nfds)
{
	struct irq_block block = { .bytes = data, .fds = nfds ? fds : NULL, .message = true };

	PEAL_ASSERT((data || !size) && (fds || !nfds));
	return count_refusal(irqset, act(irqset, request, &block, size, nfds));
}

/* ---- triggers ---- */

int irq_trigger_get(struct peal_irqset *irqset, int fd, void **ret)
{
	const struct peal_irqset_config *c = &irqset->config;

	if (fd >= 0)
		return c->triggers->get(c->triggers_user, fd, ret);
	*ret = NULL;
	return 0;
}

void irq_trigger_swap(struct irq_vector *vector, void *trigger)
{
	PEAL_ASSERT(!vector->retired);
	vector->retired = vector->trigger;
	peal_epoch_store(&vector->trigger, trigger);
}

static void unblock(const struct peal_irqset *irqset, void *trigger)
{
	const struct peal_irqset_config *c = &irqset->config;

	if (trigger && c->triggers->unblock)
		c->triggers->unblock(c->triggers_user, trigger);
}

void peal_irqset_unblock(struct peal_irqset *irqset)
{
	for (unsigned i = 0; i < irqset->total; i++) {
		struct irq_vector *vector = &irqset->list[i];
		unsigned parity = irq_enter(irqset, vector);

		unblock(irqset, peal_epoch_load(&vector->trigger));
		irq_take_back(vector, parity);
	}
}

/*
 * Was there a moment without sections of this parity? OUT is loaded first, and never shrinks: IN is
 * OUT of now and those who are in a section, so when it is no more than OUT was, nobody is. Modelled
 * in tests/models/epoch-takes-back.pml.
 */
static bool is_empty(const struct irq_vector *vector, unsigned parity)
{
	uint64_t out = __atomic_load_n(&vector->out[parity], __ATOMIC_SEQ_CST);

	return out == __atomic_load_n(&vector->in[parity], __ATOMIC_SEQ_CST);
}

/* Who is in a section for so long is held up by the user, in one of the vector's triggers. */
static void wait_for_parity(const struct peal_irqset *irqset, const struct irq_vector *vector,
			    unsigned parity)
{
	const struct peal_host *host = irqset->config.host;

	for (unsigned looks = 1; !is_empty(vector, parity); looks++) {
		host->relax(host->user);
		if (looks % LOOKS)
			continue;
		unblock(irqset, vector->retired);
		unblock(irqset, vector->trigger);
	}
}

static void wait_for_retired(const struct peal_irqset *irqset, unsigned index, uint32_t start,
			     uint32_t end, unsigned parity)
{
	const struct irq_vector *list = irqset->vectors[index];

	for (uint32_t i = start; i < end; i++) {
		if (list[i].retired)
			wait_for_parity(irqset, &list[i], parity);
	}
}

/* New sections take the other parity. The one of before. */
static unsigned turn(struct peal_irqset *irqset)
{
	unsigned parity = __atomic_load_n(&irqset->parity, __ATOMIC_RELAXED);

	__atomic_store_n(&irqset->parity, parity ^ 1, __ATOMIC_SEQ_CST);
	return parity;
}

/*
 * As peal_epoch_sync(), of the vectors in whose place a trigger was: each is seen without sections of
 * either parity after that. New sections take the one that is not waited for, whatever other vectors
 * were waited for meanwhile.
 */
static void sync(struct peal_irqset *irqset, unsigned index, uint32_t start, uint32_t end)
{
	unsigned parity = __atomic_load_n(&irqset->parity, __ATOMIC_RELAXED);

	wait_for_retired(irqset, index, start, end, parity ^ 1);
	wait_for_retired(irqset, index, start, end, turn(irqset));
}

/* The same, of a vector whose trigger stays. */
void irq_wait(struct peal_irqset *irqset, const struct irq_vector *vector)
{
	unsigned parity = __atomic_load_n(&irqset->parity, __ATOMIC_RELAXED);

	wait_for_parity(irqset, vector, parity ^ 1);
	wait_for_parity(irqset, vector, turn(irqset));
}

void irq_retire(struct peal_irqset *irqset, unsigned index, uint32_t start, uint32_t end)
{
	const struct peal_irqset_config *c = &irqset->config;
	struct irq_vector *list = irqset->vectors[index];
	bool synced = false;

	for (uint32_t i = end; i-- > start;) {
		if (!list[i].retired)
			continue;
		if (!synced)
			sync(irqset, index, start, end);
		synced = true;
		c->triggers->put(c->triggers_user, list[i].retired);
		list[i].retired = NULL;
	}
}

int peal_irqset_raise(struct peal_irqset *irqset, unsigned index, unsigned vector)
{
	struct irq_vector *v;
	unsigned parity;
	void *trigger;

	PEAL_ASSERT(index < PEAL_VFIO_IRQS && index != PEAL_VFIO_IRQ_INTX);
	if (peal_unlikely(vector >= irqset->config.count[index]))
		return 0;
	v = &irqset->vectors[index][vector];
	trigger = irq_find(irqset, v, &parity);
	if (peal_likely(trigger))
		return irq_signal_in(irqset, v, trigger, parity);
	peal_count(&v->missed, 1);
	return 0;
}

/* ---- life ---- */

static int check_config(const struct peal_irqset_config *config)
{
	static const unsigned limits[PEAL_VFIO_IRQS] = {
		[PEAL_VFIO_IRQ_INTX] = 1,
		[PEAL_VFIO_IRQ_MSI] = MSI_VECTORS,
		[PEAL_VFIO_IRQ_MSIX] = MSIX_VECTORS,
		[PEAL_VFIO_IRQ_ERR] = 1,
		[PEAL_VFIO_IRQ_REQ] = 1,
	};

	for (unsigned i = 0; i < PEAL_VFIO_IRQS; i++) {
		if (config->count[i] > limits[i])
			return -EINVAL;
	}
	if (config->flags & ~DYNAMIC)
		return -EINVAL;
	return config->flags && !config->source->allocate ? -EINVAL : 0;
}

static void destroy(struct peal_irqset *irqset)
{
	const struct peal_host *host = irqset->config.host;

	peal_mutex_done(&irqset->mutex);
	peal_free(host, irqset->list, irqset->total * sizeof(*irqset->list));
	peal_free(host, irqset, sizeof(*irqset));
}

int peal_irqset_new(struct peal_irqset **ret, const struct peal_irqset_config *config)
{
	struct peal_irqset *irqset;
	struct irq_vector *next;
	int r = check_config(config);

	if (r < 0)
		return r;
	irqset = peal_alloc(config->host, sizeof(*irqset));
	if (!irqset)
		return -ENOMEM;
	irqset->config = *config;
	if (config->compat != PEAL_IRQSET_LINUX_7_0)
		irqset->config.flags &= ~DYNAMIC;
	irqset->active = PEAL_VFIO_IRQ_NONE;
	irqset->total = !config->count[PEAL_VFIO_IRQ_INTX];
	for (unsigned i = 0; i < PEAL_VFIO_IRQS; i++)
		irqset->total += config->count[i];
	r = peal_mutex_init(&irqset->mutex, config->host);
	if (r == 0) {
		irqset->list = peal_alloc(config->host, irqset->total * sizeof(*irqset->list));
		r = irqset->list ? 0 : -ENOMEM;
	}
	if (r < 0) {
		destroy(irqset);
		return r;
	}
	next = irqset->list;
	for (unsigned i = 0; i < PEAL_VFIO_IRQS; i++) {
		irqset->vectors[i] = next;
		next += i == PEAL_VFIO_IRQ_INTX ? 1 : config->count[i];
	}
	*ret = irqset;
	return 0;
}

void peal_irqset_disable(struct peal_irqset *irqset)
{
	peal_mutex_lock(&irqset->mutex);
	if (irqset->active == PEAL_VFIO_IRQ_INTX)
		irq_intx_disable(irqset);
	else if (irqset->active != PEAL_VFIO_IRQ_NONE)
		irq_messages_disable(irqset);
	for (unsigned i = PEAL_VFIO_IRQ_ERR; i <= PEAL_VFIO_IRQ_REQ; i++) {
		if (!irqset->config.count[i])
			continue;
		irq_trigger_swap(irqset->vectors[i], NULL);
		irq_retire(irqset, i, 0, 1);
	}
	peal_mutex_unlock(&irqset->mutex);
}

void peal_irqset_free(struct peal_irqset *irqset)
{
	if (!irqset)
		return;
	peal_irqset_disable(irqset);
	destroy(irqset);
}

/* ---- looking ---- */

int peal_irqset_info(const struct peal_irqset *irqset, unsigned index,
		     struct peal_vfio_irq_info *ret)
{
	const struct peal_irqset_config *c = &irqset->config;
	uint32_t flags = PEAL_VFIO_IRQ_EVENTFD;

	if (index >= PEAL_VFIO_IRQS || (index == PEAL_VFIO_IRQ_ERR && !c->count[index]))
		return -EINVAL;
	if (index == PEAL_VFIO_IRQ_INTX)
		flags |= PEAL_VFIO_IRQ_MASKABLE | PEAL_VFIO_IRQ_AUTOMASKED;
	else if (index != PEAL_VFIO_IRQ_MSIX || !(c->flags & PEAL_IRQSET_DYNAMIC) ||
		 !c->count[index])
		flags |= PEAL_VFIO_IRQ_NORESIZE;
	ret->flags = flags;
	ret->count = c->count[index];
	return 0;
}

unsigned peal_irqset_active(const struct peal_irqset *irqset)
{
	return __atomic_load_n(&irqset->active, __ATOMIC_RELAXED);
}

unsigned peal_irqset_msi_limit(const struct peal_irqset *irqset)
{
	uint32_t vectors = irqset->config.count[PEAL_VFIO_IRQ_MSI];

	if (peal_irqset_active(irqset) == PEAL_VFIO_IRQ_MSI)
		vectors = __atomic_load_n(&irqset->enabled, __ATOMIC_RELAXED);
	return vectors > 1 ? 32u - (unsigned)__builtin_clz(vectors - 1) : 0;
}

bool peal_irqset_has_trigger(const struct peal_irqset *irqset, unsigned index, unsigned vector)
{
	return index < PEAL_VFIO_IRQS && vector < irqset->config.count[index] &&
	       peal_epoch_load(&irqset->vectors[index][vector].trigger);
}

void peal_irqset_counters(const struct peal_irqset *irqset, unsigned index, unsigned vector,
			  struct peal_irqset_counters *ret)
{
	const struct irq_vector *v;

	PEAL_ASSERT(index < PEAL_VFIO_IRQS && vector < irqset->config.count[index]);
	v = &irqset->vectors[index][vector];
	ret->signalled = __atomic_load_n(&v->out[0], __ATOMIC_RELAXED) +
			 __atomic_load_n(&v->out[1], __ATOMIC_RELAXED);
	ret->missed = peal_counted(&v->missed);
	ret->refused = peal_counted(&irqset->refused);
	ret->bypass_refused = peal_counted(&irqset->bypass_refused);
}
