# For the Makefile of a plugin in Zig. Set NAME, perhaps ROOT (src/plugin.zig), TESTS and C_SOURCES, then include this:
#   make         build/NAME.core.wasm, which `millstream plugin build` makes a component of
#   make test    TESTS, a file in Zig, with the plugin, compiled for this machine with Zig's safety checks, and run
# Zig code gets the kit by @import("ms"), tests also what is in millstream_testing.h, and the plugin by @import("plugin").
# Zig is `zig`, or the package ziglang of PyPI. TEST_SOURCES are tests in C, TEST_FLAGS how C is compiled for tests.
MILLSTREAM_C := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BUILD ?= build
ROOT ?= src/plugin.zig
OPTIMIZE ?= ReleaseFast
ZIG ?= $(if $(shell command -v zig),zig,python3 -m ziglang)
# The kit itself; what is beside it in src/wasm is for components, what is in src/native for tests.
KIT := $(wildcard $(MILLSTREAM_C)/src/*.c)
KIT_WASM := $(wildcard $(MILLSTREAM_C)/src/wasm/*.c) $(MILLSTREAM_C)/bindings/plugin.c
KIT_NATIVE := $(wildcard $(MILLSTREAM_C)/src/native/*.c)
KIT_ROOT := $(MILLSTREAM_C)/zig/root.zig
HEADERS := $(wildcard $(MILLSTREAM_C)/include/*.h $(MILLSTREAM_C)/src/*.h)
ZIG_SOURCES := $(wildcard $(dir $(ROOT))*.zig)
# Wasm with vectors: the host has them.
ZIG_TARGET := -target wasm32-wasi -mcpu=generic+simd128+bulk_memory

# Sources in C have to stand before the modules.
$(BUILD)/$(NAME).core.wasm: $(KIT_ROOT) $(ZIG_SOURCES) $(C_SOURCES) $(KIT) $(KIT_WASM) $(HEADERS) $(BUILD)/millstream.zig
	$(ZIG) build-exe $(ZIG_TARGET) -O $(OPTIMIZE) -fstrip -lc -fno-entry -mexec-model=reactor -rdynamic --stack 262144 \
		-femit-bin=$@ -I$(MILLSTREAM_C)/include -cflags -std=c11 -O3 -fno-strict-aliasing -- $(KIT) $(KIT_WASM) $(C_SOURCES) \
		$(MILLSTREAM_C)/bindings/plugin_component_type.o --dep plugin -Mroot=$(KIT_ROOT) --dep ms -Mplugin=$(ROOT) \
		-Mms=$(BUILD)/millstream.zig
$(BUILD)/millstream.zig: $(MILLSTREAM_C)/include/millstream.h
	mkdir -p $(BUILD)
	$(ZIG) translate-c $(ZIG_TARGET) -lc $< > $@

$(BUILD)/tests: $(TESTS) $(TEST_SOURCES) $(ZIG_SOURCES) $(C_SOURCES) $(KIT) $(KIT_NATIVE) $(HEADERS) $(BUILD)/native/millstream.zig
	$(ZIG) test --test-no-exec -lc -femit-bin=$@ -I$(MILLSTREAM_C)/include -I$(MILLSTREAM_C)/src -cflags -std=c11 $(TEST_FLAGS) \
		-- $(KIT) $(KIT_NATIVE) $(C_SOURCES) $(TEST_SOURCES) --dep ms --dep plugin -Mroot=$(TESTS) \
		--dep ms -Mplugin=$(ROOT) -Mms=$(BUILD)/native/millstream.zig
$(BUILD)/native/millstream.zig: $(MILLSTREAM_C)/include/millstream_testing.h $(HEADERS)
	mkdir -p $(BUILD)/native
	$(ZIG) translate-c -lc -I$(MILLSTREAM_C)/include $< > $@
test: $(BUILD)/tests
	$(BUILD)/tests
clean:
	rm -rf $(BUILD)
.PHONY: test clean
