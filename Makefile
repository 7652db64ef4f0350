# SPDX-License-Identifier: BSD-2-Clause
# A few lines over meson. `make run` and `make check` install what is missing first.
#   ARGS        arguments of `peal run` / `peal bench`, e.g. make run ARGS='--vcpus 4'
#   MESONFLAGS  options of the first `meson setup`, e.g. MESONFLAGS=--prefix=/usr
BUILD ?= build
ARGS ?=
MESONFLAGS ?=

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@meson setup $(MESONFLAGS) $(BUILD)

peal: $(BUILD)/build.ninja
	@ninja -C $(BUILD) peal

run:
	@tools/install-deps
	@$(MAKE) --no-print-directory peal
	@$(BUILD)/peal run $(ARGS)

check:
	@tools/install-deps --check
	@tools/check

check-long:
	@tools/install-deps --check
	@tools/check --long

bench:
	@tools/install-deps
	@$(MAKE) --no-print-directory peal
	@$(BUILD)/peal bench $(if $(ARGS),$(ARGS),--all)

install: all
	@ninja -C $(BUILD) install

clean:
	@test ! -f $(BUILD)/build.ninja || ninja -C $(BUILD) clean

distclean:
	rm -rf $(BUILD) build-asan build-tsan build-clang

.PHONY: all peal run check check-long bench install clean distclean
