# For the Makefile of a plugin in C, C++ or Zig with C. Set NAME, SOURCES and perhaps TESTS, CFLAGS, LDFLAGS, then
# include this file:
#   make         build/NAME.core.wasm, which `millstream plugin build` makes a component of
#   make test    TESTS with the operators, compiled for this machine with the address sanitizer, and run
# The compiler for wasm is clang-19, or zig (WASM_CC="python3 -m ziglang cc"), whichever is there.
MILLSTREAM_C := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BUILD ?= build
comma := ,

ifndef WASM_CC
ifneq (,$(shell command -v clang-19))
WASM_CC := clang-19
else ifneq (,$(shell command -v zig))
WASM_CC := zig cc
else
WASM_CC := python3 -m ziglang cc
endif
endif
ifndef WASM_CXX
WASM_CXX := $(if $(findstring clang,$(WASM_CC)),$(subst clang,clang++,$(WASM_CC)),$(patsubst %cc,%c++,$(WASM_CC)))
endif

# The kit itself; what is beside it in src/wasm is for components, what is in src/native for tests.
KIT := $(wildcard $(MILLSTREAM_C)/src/*.c)
KIT_WASM := $(wildcard $(MILLSTREAM_C)/src/wasm/*.c)
KIT_NATIVE := $(wildcard $(MILLSTREAM_C)/src/native/*.c)
INCLUDE := -I$(MILLSTREAM_C)/include
# Wasm with vectors: the host has them. Asserts stay, which Zig would take out.
WASM_TARGET := --target=wasm32-wasi
WASM_FLAGS := $(WASM_TARGET) -O3 -UNDEBUG -msimd128 -mbulk-memory -fno-strict-aliasing $(INCLUDE)
# The stack is before the data, so that one that is too deep is a trap; Zig does so without being told.
WASM_LINK := $(WASM_TARGET) -mexec-model=reactor -Wl,--strip-debug -Wl,-z,stack-size=262144 \
	$(if $(findstring clang,$(WASM_CC)),-Wl$(comma)--stack-first)
WARNINGS := -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers
C_SOURCES := $(filter %.c,$(SOURCES))
CXX_SOURCES := $(filter %.cpp,$(SOURCES))
OBJECTS := $(patsubst %,$(BUILD)/%.o,$(notdir $(C_SOURCES) $(CXX_SOURCES)))
KIT_OBJECTS := $(addprefix $(BUILD)/kit-,$(notdir $(KIT:.c=.o) $(KIT_WASM:.c=.o)) plugin.o)

vpath %.c $(sort $(dir $(C_SOURCES)))
vpath %.cpp $(sort $(dir $(CXX_SOURCES)))

$(BUILD)/$(NAME).core.wasm: $(OBJECTS) $(KIT_OBJECTS)
	$(if $(CXX_SOURCES),$(WASM_CXX),$(WASM_CC)) $(WASM_LINK) $(LDFLAGS) -o $@ $^ $(MILLSTREAM_C)/bindings/plugin_component_type.o

$(BUILD)/%.c.o: %.c $(wildcard $(MILLSTREAM_C)/include/*) | $(BUILD)
	$(WASM_CC) -std=c11 $(WASM_FLAGS) $(WARNINGS) $(CFLAGS) -c -o $@ $<
$(BUILD)/%.cpp.o: %.cpp $(wildcard $(MILLSTREAM_C)/include/*) | $(BUILD)
	$(WASM_CXX) -std=c++20 -fno-exceptions -fno-rtti $(WASM_FLAGS) $(WARNINGS) $(CXXFLAGS) -c -o $@ $<
$(BUILD)/kit-%.o: $(MILLSTREAM_C)/src/%.c $(MILLSTREAM_C)/src/core.h $(MILLSTREAM_C)/include/millstream.h | $(BUILD)
	$(WASM_CC) -std=c11 $(WASM_FLAGS) $(WARNINGS) -c -o $@ $<
$(BUILD)/kit-%.o: $(MILLSTREAM_C)/src/wasm/%.c $(MILLSTREAM_C)/src/core.h $(MILLSTREAM_C)/include/millstream.h | $(BUILD)
	$(WASM_CC) -std=c11 $(WASM_FLAGS) $(WARNINGS) -c -o $@ $<
$(BUILD)/kit-plugin.o: $(MILLSTREAM_C)/bindings/plugin.c $(MILLSTREAM_C)/bindings/plugin.h | $(BUILD)
	$(WASM_CC) -std=c11 $(WASM_FLAGS) -w -c -o $@ $<
$(BUILD):
	mkdir -p $@

SANITIZE ?= -fsanitize=address,undefined -fno-sanitize-recover=all
NATIVE := $(SANITIZE) -g -O1 $(INCLUDE) -I$(MILLSTREAM_C)/src $(WARNINGS) $(TEST_FLAGS)
TEST_SOURCES := $(TESTS) $(SOURCES)
TEST_OBJECTS := $(patsubst %,$(BUILD)/native/%.o,$(notdir $(TEST_SOURCES))) \
	$(patsubst %,$(BUILD)/native/kit/%.o,$(notdir $(KIT) $(KIT_NATIVE)))
HEADERS := $(wildcard $(MILLSTREAM_C)/include/* $(MILLSTREAM_C)/src/*.h)
vpath %.c $(sort $(dir $(filter %.c,$(TEST_SOURCES))))
vpath %.cpp $(sort $(dir $(filter %.cpp,$(TEST_SOURCES))))
$(BUILD)/native/kit/%.c.o: $(MILLSTREAM_C)/src/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(NATIVE) -c -o $@ $<
$(BUILD)/native/kit/%.c.o: $(MILLSTREAM_C)/src/native/%.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(NATIVE) -c -o $@ $<
$(BUILD)/native/%.c.o: %.c $(HEADERS)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(NATIVE) -c -o $@ $<
$(BUILD)/native/%.cpp.o: %.cpp $(HEADERS)
	@mkdir -p $(@D)
	$(CXX) -std=c++20 -fno-exceptions $(NATIVE) -c -o $@ $<
test: $(TEST_OBJECTS)
	$(if $(CXX_SOURCES),$(CXX),$(CC)) $(SANITIZE) -o $(BUILD)/tests $^ -lm
	$(BUILD)/tests
clean:
	rm -rf $(BUILD)
.PHONY: test clean
