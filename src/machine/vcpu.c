/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A vCPU: a thread that sleeps until it is kicked, and then takes the highest pending LPI until
 * there is none.
 *
 * A kick sets the word and then looks whether somebody waits; who waits says so and then looks at
 * the word (both sequentially consistent), and the kernel looks at it once more before it lets the
 * thread sleep. So a kick is never missed.
 */
#include <linux/futex.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock-posix.h"
#include "machine.h"

static void futex_wait(uint32_t *word, uint32_t value)
{
	(void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake(uint32_t *word)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void peal_vcpu_kick(struct peal_vcpu *vcpu)
{
	/* A word that is set already will be seen: whoever set it woke the thread. */
	if (__atomic_exchange_n(&vcpu->kicked, 1, __ATOMIC_SEQ_CST))
		return;
	peal_count(&vcpu->kicks, 1);
	if (__atomic_load_n(&vcpu->waiting, __ATOMIC_SEQ_CST))
		futex_wake(&vcpu->kicked);
}

static bool was_kicked(struct peal_vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->kicked, __ATOMIC_SEQ_CST);
}

/* Looks for a kick while it pays: waking a thread costs more than a few looks. */
static bool spin(struct peal_vcpu *vcpu)
{
	uint64_t end = peal_clock_ns() + (uint64_t)vcpu->machine->config.spin_us * 1000;

	do {
		for (unsigned i = 0; i < 64; i++) {
			if (was_kicked(vcpu))
				return true;
		}
		/* There may be more threads than cores, and one of them may have the work. */
		(void)sched_yield();
	} while (peal_clock_ns() < end);
	return false;
}

static void wait_for_kick(struct peal_vcpu *vcpu)
{
	if (was_kicked(vcpu) || spin(vcpu))
		return;
	peal_count(&vcpu->sleeps, 1);
	__atomic_store_n(&vcpu->waiting, 1, __ATOMIC_SEQ_CST);
	while (!was_kicked(vcpu))
		futex_wait(&vcpu->kicked, 0);
	__atomic_store_n(&vcpu->waiting, 0, __ATOMIC_SEQ_CST);
}

/*
 * Takes one, if there is one. The sequence is odd from before it is acknowledged: who has taken an
 * LPI's pending state away and then sees it even, knows that no handler of that LPI will be
 * entered.
 */
static bool take_one(struct peal_vcpu *vcpu)
{
	struct peal_machine *machine = vcpu->machine;
	uint32_t intid;

	(void)__atomic_add_fetch(&vcpu->irq_sequence, 1, __ATOMIC_SEQ_CST);
	intid = peal_gic_acknowledge(machine->gic, vcpu->index, PEAL_GIC_IDLE_PRIORITY, NULL);
	if (intid != PEAL_GIC_SPURIOUS) {
		peal_count(&vcpu->acknowledged, 1);
		if (machine->irq_entry)
			machine->irq_entry(vcpu, intid, machine->irq_user);
	}
	(void)__atomic_add_fetch(&vcpu->irq_sequence, 1, __ATOMIC_SEQ_CST);
	return intid != PEAL_GIC_SPURIOUS;
}

void peal_vcpu_take_interrupts(struct peal_vcpu *vcpu)
{
	/* What is announced after this is announced by a kick after this. */
	(void)__atomic_exchange_n(&vcpu->kicked, 0, __ATOMIC_SEQ_CST);
	while (take_one(vcpu))
		;
}

void peal_vcpu_wait_for_interrupt(struct peal_vcpu *vcpu)
{
	wait_for_kick(vcpu);
	peal_vcpu_take_interrupts(vcpu);
}

void *vcpu_thread(void *arg)
{
	struct peal_vcpu *vcpu = arg;
	struct peal_machine *machine = vcpu->machine;
	char name[16];

	(void)snprintf(name, sizeof(name), "peal-vcpu%u", vcpu->index);
	(void)pthread_setname_np(pthread_self(), name);

	if (vcpu->index == 0) {
		machine->main(vcpu, machine->main_user);
		(void)pthread_mutex_lock(&machine->lock);
		machine->main_done = true;
		(void)pthread_cond_broadcast(&machine->changed);
		(void)pthread_mutex_unlock(&machine->lock);
	}
	while (!__atomic_load_n(&machine->stopping, __ATOMIC_SEQ_CST))
		peal_vcpu_wait_for_interrupt(vcpu);
	return NULL;
}

unsigned peal_vcpu_index(const struct peal_vcpu *vcpu)
{
	return vcpu->index;
}

void peal_vcpu_counters(const struct peal_vcpu *vcpu, struct peal_vcpu_counters *ret)
{
	ret->acknowledged = peal_counted(&vcpu->acknowledged);
	ret->kicks = peal_counted(&vcpu->kicks);
	ret->sleeps = peal_counted(&vcpu->sleeps);
}
