# For the Makefile of a plugin in Zig. Set NAME, perhaps ROOT (src/plugin.zig) and C_SOURCES, then include this file:
#   make         build/NAME.core.wasm, which `millstream plugin build` makes a component of
# Zig code gets the kit by @import("ms"). Zig is `zig`, or the package ziglang of PyPI.
MILLSTREAM_C := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BUILD ?= build
ROOT ?= src/plugin.zig
OPTIMIZE ?= ReleaseFast
ZIG ?= $(if $(shell command -v zig),zig,python3 -m ziglang)
KIT := $(addprefix $(MILLSTREAM_C)/src/,memory.c columns.c builders.c json.c config.c output.c states.c operators.c aggregate.c keyed.c glue.c) \
	$(MILLSTREAM_C)/bindings/plugin.c
# Wasm with vectors: the host has them.
ZIG_TARGET := -target wasm32-wasi -mcpu=generic+simd128+bulk_memory

# Sources in C have to stand before the modules.
$(BUILD)/$(NAME).core.wasm: $(wildcard $(dir $(ROOT))*.zig) $(C_SOURCES) $(KIT) $(BUILD)/millstream.zig
	$(ZIG) build-exe $(ZIG_TARGET) -O $(OPTIMIZE) -fstrip -lc -fno-entry -mexec-model=reactor -rdynamic --stack 262144 \
		-femit-bin=$@ -I$(MILLSTREAM_C)/include -cflags -std=c11 -O3 -fno-strict-aliasing -- $(KIT) $(C_SOURCES) \
		$(MILLSTREAM_C)/bindings/plugin_component_type.o --dep ms -Mroot=$(ROOT) -Mms=$(BUILD)/millstream.zig
$(BUILD)/millstream.zig: $(MILLSTREAM_C)/include/millstream.h
	mkdir -p $(BUILD)
	$(ZIG) translate-c $(ZIG_TARGET) -lc $< > $@
clean:
	rm -rf $(BUILD)
.PHONY: clean
