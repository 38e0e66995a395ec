// `currency`: a column times a rate, beside all that came in.
#include "operators.hpp"

namespace {

struct Currency {
    static constexpr auto name = "currency", summary = "Converts a price into another currency.";
    static constexpr ms_setting settings[] = {
        ms::setting("column", MS_STRING, "The float64 column."),
        ms::setting("rate", MS_NUMBER, "What each value is multiplied by."),
        ms::optional(ms::setting("output", MS_STRING, "The name of the new column."), "\"converted\""),
        {},
    };
    size_t column, converted = 0;
    double rate;

    explicit Currency(ms::Open open)
        : column(open.input(open.config().text("column"), MS_FLOAT64)), rate(open.config().number("rate")) {
        open.output_input();
        converted = open.output(open.config().text("output"), MS_FLOAT64, true);
    }

    void process(const ms_batch &batch, ms::Output output) const {
        const auto prices = ms::values<double>(batch.columns[column]);
        auto builder = output.set(converted);
        auto to = builder.fill<double>(batch.rows);
        for (size_t row = 0; row < to.size(); row++) to[row] = prices[row] * rate;
        builder.share_nulls(batch.columns[column]);
        output.keep();
    }
};

} // namespace

const ms_operator currency = ms::transform<Currency>;
