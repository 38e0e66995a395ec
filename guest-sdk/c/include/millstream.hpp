// Operators in C++ over the C kit: classes in place of tables of functions, string_view in place of pointers.
//
//     struct SplitWords {
//         static constexpr auto name = "split-words", summary = "Splits text at spaces.";
//         static constexpr ms_setting settings[] = {ms::setting("column", MS_STRING, "The text column."), {}};
//         explicit SplitWords(ms::Open open);
//         void process(const ms_batch &batch, ms::Output output) const;
//     };
//     MS_PLUGIN("words", "0.1.0", "Splits text.", &ms::transform<SplitWords>);
//
// There are no exceptions: what fails is noted by the kit, as millstream.h says. Objects live as long as the instance.
#ifndef MILLSTREAM_HPP
#define MILLSTREAM_HPP

#include "millstream.h"

#include <concepts>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

namespace ms {

inline std::string_view view(ms_text text) { return {text.data, text.len}; }
inline ms_text text(std::string_view view) { return {view.data(), view.size()}; }

// ---- Config ----

constexpr ms_setting setting(const char *name, ms_setting_type type, const char *about) {
    ms_setting made{};
    made.name = name, made.type = type, made.about = about;
    return made;
}

// A key that may be left out; `fallback` is the JSON of its value then, or null.
constexpr ms_setting optional(ms_setting of, const char *fallback = nullptr) {
    of.optional = true, of.fallback = fallback;
    return of;
}

constexpr ms_setting one_of(ms_setting of, const char *const *choices) {
    of.choices = choices;
    return of;
}

constexpr ms_setting within(ms_setting of, double min, double max) {
    of.min = min, of.max = max;
    return of;
}

constexpr ms_setting objects(ms_setting of, const ms_setting *items) {
    of.items = items;
    return of;
}

class Config {
public:
    explicit Config(const ms_config *config) : config(config) {}
    bool has(const char *key) const { return ms_config_has(config, key); }
    std::string_view text(const char *key) const { return view(ms_config_text(config, key)); }
    double number(const char *key) const { return ms_config_number(config, key); }
    int64_t integer(const char *key) const { return ms_config_integer(config, key); }
    bool boolean(const char *key) const { return ms_config_boolean(config, key); }
    size_t count(const char *key) const { return ms_config_count(config, key); }
    Config object(const char *key, size_t i) const { return Config(ms_config_object_at(config, key, i)); }

private:
    const ms_config *config;
};

// What a constructor is given.
class Open {
public:
    explicit Open(ms_open *open) : open(open) {}
    Config config() const { return Config(open->config); }
    std::span<const ms_field> input() const { return {open->input.fields, open->input.count}; }
    size_t input(std::string_view column, ms_type type) const { return ms_input(open, ms::text(column), type); }
    size_t input_any(std::string_view column) const { return ms_input_any(open, ms::text(column)); }
    size_t output(std::string_view name, ms_type type, bool nullable) const {
        return ms_output_field(open, ms::text(name), type, nullable);
    }
    void output_input() const { ms_output_input(open); }

private:
    ms_open *open;
};

// ---- Columns ----

inline std::optional<std::string_view> text_at(const ms_column &column, size_t row) {
    if (ms_is_null(&column, row)) return std::nullopt;
    return view(ms_get_text(&column, row));
}

// All values of a column of numbers, those of nulls among them.
template <typename T> std::span<const T> values(const ms_column &column) {
    return {static_cast<const T *>(column.as.values), column.rows};
}

class Builder {
public:
    explicit Builder(ms_builder *builder) : builder(builder) {}
    void push(bool value) { ms_push_boolean(builder, value); }
    void push(int32_t value) { ms_push_int32(builder, value); }
    void push(int64_t value) { ms_push_int64(builder, value); }
    void push(uint64_t value) { ms_push_uint64(builder, value); }
    void push(float value) { ms_push_float32(builder, value); }
    void push(double value) { ms_push_float64(builder, value); }
    void push(std::string_view value) { ms_push_text(builder, value.data(), value.size()); }
    void push(const char *value) { push(std::string_view(value)); }
    // Any whole number, into int32, date, int64 and timestamps; one that does not fit is a failure.
    template <std::integral T> void push_integer(T value) {
        if constexpr (std::is_signed_v<T>) {
            ms_push_integer(builder, value);
        } else {
            ms_push_uint64(builder, value);
        }
    }
    void push_timestamp(int64_t micros) { ms_push_timestamp(builder, micros); }
    void push_null() { ms_push_null(builder); }
    template <typename T> void push(const std::optional<T> &value) { value ? push(*value) : push_null(); }
    // Room for many numbers; empty on failure.
    template <typename T> std::span<T> fill(size_t rows) {
        T *room = nullptr;
        if constexpr (std::is_same_v<T, int32_t>) room = ms_fill_int32(builder, rows);
        if constexpr (std::is_same_v<T, int64_t>) room = ms_fill_int64(builder, rows);
        if constexpr (std::is_same_v<T, float>) room = ms_fill_float32(builder, rows);
        if constexpr (std::is_same_v<T, double>) room = ms_fill_float64(builder, rows);
        return {room, room == nullptr ? 0 : rows};
    }
    void share_nulls(const ms_column &column) { ms_share_nulls(builder, &column); }
    ms_builder *raw() { return builder; }

private:
    ms_builder *builder;
};

class Output {
public:
    explicit Output(ms_output *output) : output(output) {}
    Builder set(size_t column) { return Builder(ms_set(output, column)); }
    void keep() { ms_keep(output); }
    void keep_rows(std::span<const uint32_t> rows) { ms_keep_rows(output, rows.data(), rows.size()); }
    void skip(size_t row) { ms_skip(output, row); }
    void reject(size_t row, std::string_view reason) {
        ms_reject(output, row, "%.*s", static_cast<int>(reason.size()), reason.data());
    }

private:
    ms_output *output;
};

// ---- States ----

// States of fixed width, changed in place.
template <typename S> std::span<S> states(ms_states *of) {
    static_assert(std::is_trivially_copyable_v<S>, "a state is kept as bytes");
    S *all = static_cast<S *>(ms_states_fixed(of));
    return {all, all == nullptr ? 0 : ms_states_count(of)};
}

template <typename S> std::span<const S> states(const ms_states *of) {
    const S *all = static_cast<const S *>(ms_states_fixed(of));
    return {all, all == nullptr ? 0 : ms_states_count(of)};
}

class Key {
public:
    explicit Key(ms_key *key) : key(key) {}
    const ms_batch &rows() const { return *ms_key_rows(key); }
    const ms_batch &columns() const { return *ms_key_columns(key); }
    size_t index() const { return ms_key_index(key); }
    // The state as values of S; nothing where there is none.
    template <typename S> std::span<const S> state() const {
        static_assert(std::is_trivially_copyable_v<S>, "a state is kept as bytes");
        ms_text bytes = ms_key_state(key);
        return {reinterpret_cast<const S *>(bytes.data), bytes.data == nullptr ? 0 : bytes.len / sizeof(S)};
    }
    template <typename S> void put(std::span<const S> state) { ms_key_put(key, state.data(), state.size_bytes()); }
    void drop() { ms_key_drop(key); }
    void timer(int64_t at) { ms_key_timer(key, at); }
    void reject(size_t row, std::string_view reason) {
        ms_key_reject(key, row, "%.*s", static_cast<int>(reason.size()), reason.data());
    }
    Output emit() { return Output(ms_key_emit(key)); }

private:
    ms_key *key;
};

// ---- Operators of classes ----

namespace inner {
template <typename T> void *open(ms_open *with) {
    void *memory = ms_alloc(sizeof(T));
    return memory == nullptr ? nullptr : new (memory) T(Open(with));
}

template <typename T> constexpr ms_operator operator_of(ms_kind kind) {
    ms_operator made{};
    made.name = T::name, made.kind = kind, made.summary = T::summary, made.settings = T::settings, made.open = open<T>;
    return made;
}
} // namespace inner

// A class with `process(const ms_batch &, Output)`.
template <typename T> inline constexpr ms_operator transform = [] {
    ms_operator made = inner::operator_of<T>(MS_TRANSFORM);
    made.process = [](void *self, const ms_batch *batch, ms_output *output) {
        static_cast<T *>(self)->process(*batch, Output(output));
    };
    return made;
}();

// A class with a type `State` and `accumulate(span<State>, span<const uint32_t> groups, const ms_batch &)`,
// `merge(State &, const State &)`, `finish(const State &, Output)`, which pushes one row, and perhaps
// `retract(State &, const State &)`.
template <typename T> inline constexpr ms_operator aggregate = [] {
    using State = typename T::State;
    ms_operator made = inner::operator_of<T>(MS_AGGREGATE);
    made.state_size = sizeof(State);
    made.accumulate = [](void *self, ms_states *of, const uint32_t *groups, const ms_batch *batch) {
        auto all = states<State>(of);
        if (!ms_failed()) static_cast<T *>(self)->accumulate(all, std::span(groups, batch->rows), *batch);
    };
    made.merge = [](void *self, ms_states *of, const ms_states *others) {
        auto to = states<State>(of);
        auto from = states<State>(others);
        for (size_t i = 0; i < to.size() && !ms_failed(); i++) static_cast<T *>(self)->merge(to[i], from[i]);
    };
    if constexpr (requires(T self, State state) { self.retract(state, state); }) {
        made.retract = [](void *self, ms_states *of, const ms_states *others) {
            auto to = states<State>(of);
            auto from = states<State>(others);
            for (size_t i = 0; i < to.size() && !ms_failed(); i++) static_cast<T *>(self)->retract(to[i], from[i]);
        };
    }
    made.finish = [](void *self, const ms_states *of, ms_output *output) {
        Output out(output);
        for (const State &state : states<State>(of)) static_cast<T *>(self)->finish(state, out);
    };
    return made;
}();

// A class with `on_row(Key, size_t row)` and `on_timer(Key, int64_t at)`.
template <typename T> inline constexpr ms_operator keyed = [] {
    ms_operator made = inner::operator_of<T>(MS_KEYED);
    made.on_row = [](void *self, ms_key *key, size_t row) { static_cast<T *>(self)->on_row(Key(key), row); };
    made.on_timer = [](void *self, ms_key *key, int64_t at) { static_cast<T *>(self)->on_timer(Key(key), at); };
    return made;
}();

} // namespace ms
#endif
