/* SPDX-License-Identifier: BSD-2-Clause */
/* All of Peal's core and hosted interfaces in one. */
#ifndef PEAL_PEAL_H
#define PEAL_PEAL_H

#include <peal/base.h>
#include <peal/bell.h>
#include <peal/bits.h>
#include <peal/driver.h>
#include <peal/epoch.h>
#include <peal/gic.h>
#include <peal/irq.h>
#include <peal/machine.h>
#include <peal/mem.h>
#include <peal/pci.h>
#include <peal/regs.h>
#include <peal/trace.h>
#include <peal/vfio-function.h>
#include <peal/vfio-user.h>
#include <peal/vfio.h>
#include <peal/virtio-abi.h>
#include <peal/virtio.h>

#endif
