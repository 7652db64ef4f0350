/* SPDX-License-Identifier: BSD-2-Clause */
/* The path of an interrupt in numbers, and the station where it ends. */
#include <peal/bits.h>
#include <peal/machine.h>

/*
 * From the end of the path to its beginning: what is counted at a station was counted at those
 * before it, so nothing that moves meanwhile makes more arrive than set out.
 */
void peal_machine_path(struct peal_machine *machine, struct peal_msix *msix,
		       const struct peal_guest *guest, struct peal_path_counters *ret)
{
	struct peal_path_counters p = { 0 };
	struct peal_msix_counters m;
	struct peal_its_counters i;

	if (guest) {
		p.handled = peal_guest_handled(guest);
		p.unhandled = peal_guest_unhandled(guest);
	}
	for (unsigned n = 0; n < peal_machine_vcpus(machine); n++) {
		struct peal_redist_counters r;

		peal_redist_counters(peal_machine_gic(machine), n, &r);
		p.merged_lpi += r.merged;
		p.silent += r.disabled;
		p.acknowledged += r.acknowledged;
	}
	peal_its_counters(peal_machine_its(machine), &i);
	p.misdirected = i.misdirected;
	p.unmapped = i.unmapped;
	p.no_collection = i.no_collection;
	p.disabled = i.disabled;
	p.translated = i.translated;
	p.unrouted = peal_counted(&peal_machine_router(machine)->unrouted);
	peal_msix_counters(msix, PEAL_MSIX_ALL, &m);
	p.raised = m.sent - m.refired + m.pended + m.merged + m.dropped;
	p.pended = m.pended;
	p.merged_pba = m.merged;
	p.dropped = m.dropped;
	p.sent = m.sent;
	p.lost = p.raised - p.merged_pba - p.merged_lpi - p.handled;
	*ret = p;
}

/* In the order of the path: the first station that kept something is where it stopped. */
const char *peal_path_diagnose(const struct peal_path_counters *p)
{
	const struct {
		bool here;
		const char *text;
	} stations[] = {
		{ p->raised == 0, "the device raised no interrupt: it was not notified, has no "
				  "work, may not read the rings (Bus Master), or has no vector "
				  "(NO_VECTOR) for its queues" },
		{ p->dropped > 0, "messages were dropped at the function: Command.BusMaster is 0, "
				  "and an MSI-X message is a memory write" },
		/* What an unmask sends after all is in sent, and was raised before. */
		{ p->sent + p->merged_pba + p->dropped < p->raised,
		  "raises stay in the pending bit array: the vectors are masked by their Mask bit, "
		  "by Function Mask, or MSI-X is not enabled" },
		{ p->unrouted > 0, "messages went to an address where no interrupt controller "
				   "listens: look at the address of the MSI-X entries" },
		{ p->misdirected > 0, "messages hit the ITS's translation frame beside "
				      "GITS_TRANSLATER (offset 0x40)" },
		{ p->disabled > 0, "the ITS is off (GITS_CTLR.Enabled) or the target's LPIs are "
				   "(GICR_CTLR.EnableLPIs)" },
		{ p->unmapped > 0, "the ITS has no mapping for the device's events: look at MAPD, "
				   "MAPTI and the data of the MSI-X entries" },
		{ p->no_collection > 0, "the events' collection is not mapped to a redistributor: "
					"look at MAPC" },
		{ p->silent > 0 && p->acknowledged < p->translated - p->merged_lpi,
		  "LPIs are pending but disabled in the LPI configuration table: set the enable "
		  "bit and send INV" },
		{ p->acknowledged < p->translated - p->merged_lpi,
		  "LPIs are pending but no vCPU acknowledges them" },
		{ p->unhandled > 0, "the guest has no handler for an LPI that it took" },
	};

	for (size_t i = 0; i < PEAL_COUNT_OF(stations); i++) {
		if (stations[i].here)
			return stations[i].text;
	}
	return NULL;
}
