// Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows around it
// go on.
#include "millstream.hpp"

#include <cstdio>

namespace {

struct Convert {
    static constexpr auto name = "convert", summary = "Adds converted prices.";
    static constexpr ms_setting settings[] = {
        ms::setting("column", MS_STRING, "The float64 column of prices."),
        ms::setting("rate", MS_NUMBER, "What one of them is worth."),
        {},
    };
    size_t column, converted = 0;
    double rate;

    // Called once for each instance: finds the input's columns and says what comes out.
    explicit Convert(ms::Open open)
        : column(open.input(open.config().text("column"), MS_FLOAT64)), rate(open.config().number("rate")) {
        open.output_input();
        converted = open.output("converted", MS_FLOAT64, true);
    }

    // Called for each batch.
    void process(const ms_batch &batch, ms::Output output) const {
        const ms_column &prices = batch.columns[column];
        ms::Builder builder = output.set(converted);
        for (size_t row = 0; row < batch.rows; row++) {
            const double price = prices.as.float64[row];
            if (ms_is_null(&prices, row)) {
                builder.push_null();
            } else if (price < 0) {
                char reason[64];
                std::snprintf(reason, sizeof reason, "the price is %g", price);
                output.reject(row, reason);
            } else {
                builder.push(price * rate);
            }
        }
        output.keep();
    }
};

} // namespace

MS_PLUGIN("{{name}}", "0.1.0", "Prices.", &ms::transform<Convert>);
