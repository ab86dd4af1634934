#include "progress/meter.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <vector>

#include "progress/figures.hpp"
#include "progress/text.hpp"

namespace brood::bars {
namespace {

constexpr int kDefaultBar = 10;

std::string real(double value, int digits) {
  std::string text = print_real(value, 'f', digits);
  if (text.size() < 5) text.insert(0, 5 - text.size(), ' ');
  return text;
}

// Everything a field can show, computed once per line.
struct Figures {
  explicit Figures(const Meter& m);

  const Meter& meter;
  std::optional<std::uint64_t> total;
  bool has_bar;  // the total is known, is not 0 and has not been passed
  double fraction = 0;
  std::optional<double> rate;
  std::optional<double> rate_inv;
  double remaining_s = 0;
  std::string n_fmt, total_fmt, elapsed, remaining, rate_fmt, rate_noinv_fmt, rate_inv_fmt, postfix, l_bar, r_bar;

 private:
  void set_rates();
  void set_sides();
};

Figures::Figures(const Meter& m) : meter(m), total(m.total) {
  if (total && *total != 0 && m.n > *total) total.reset();
  has_bar = total.value_or(0) != 0;
  if (has_bar) fraction = static_cast<double>(m.n) / static_cast<double>(*total);
  const auto count = [&](std::uint64_t value) {
    return m.unit_scale ? format_sizeof(static_cast<double>(value), m.unit_divisor) : std::to_string(value);
  };
  n_fmt = count(m.n);
  total_fmt = total ? count(*total) : "?";
  elapsed = format_interval(m.elapsed_s);
  if (!m.postfix.empty()) postfix = ", " + std::string(m.postfix);
  set_rates();
  if (rate && has_bar) remaining_s = (static_cast<double>(*total) - static_cast<double>(m.n)) / *rate;
  remaining = rate ? format_interval(remaining_s) : "?";
  set_sides();
}

void Figures::set_rates() {
  rate = meter.rate;
  if (!rate && meter.elapsed_s > 0) {
    rate = (static_cast<double>(meter.n) - static_cast<double>(meter.initial)) / meter.elapsed_s;
  }
  if (rate && *rate == 0) rate.reset();
  if (rate) rate_inv = 1 / *rate;
  const auto number = [&](std::optional<double> value) {
    if (!value) return std::string("?");
    return meter.unit_scale ? format_sizeof(*value, 1000) : real(*value, 2);
  };
  rate_noinv_fmt = number(rate) + std::string(meter.unit) + "/s";
  rate_inv_fmt = number(rate_inv) + "s/" + std::string(meter.unit);
  rate_fmt = rate_inv.value_or(0) > 1 ? rate_inv_fmt : rate_noinv_fmt;
}

void Figures::set_sides() {
  if (!meter.desc.empty()) {
    l_bar = meter.desc;
    if (!meter.desc.ends_with(": ")) l_bar += ": ";
  }
  r_bar = "| " + n_fmt + "/" + total_fmt + " [" + elapsed + "<" + remaining + ", " + rate_fmt + postfix + "]";
}

std::string percentage_of(const Figures& figures) {
  std::string text = print_real(figures.fraction * 100, 'f', 0);
  if (text.size() < 3) text.insert(0, 3 - text.size(), ' ');
  return text + "%|";
}

std::string time_of_day(const Figures& figures, const char* format) {
  if (!figures.rate || !figures.has_bar || figures.remaining_s > 3.2e9) return "?";
  const std::time_t at = std::time(nullptr) + static_cast<std::time_t>(std::lround(figures.remaining_s));
  std::tm local{};
  char text[256];
  if (localtime_r(&at, &local) == nullptr) return "?";
  return std::string(text, std::strftime(text, sizeof text, format, &local));
}

std::string_view text_of(const Figures& figures, Field field) {
  switch (field) {
    case Field::colour:
      return figures.meter.colour_name;
    case Field::desc:
      return figures.meter.desc;
    case Field::elapsed:
      return figures.elapsed;
    case Field::l_bar:
      return figures.l_bar;
    case Field::n_fmt:
      return figures.n_fmt;
    case Field::postfix:
      return figures.postfix;
    case Field::r_bar:
      return figures.r_bar;
    case Field::rate_fmt:
      return figures.rate_fmt;
    case Field::rate_inv_fmt:
      return figures.rate_inv_fmt;
    case Field::rate_noinv_fmt:
      return figures.rate_noinv_fmt;
    case Field::remaining:
      return figures.remaining;
    case Field::total_fmt:
      return figures.total_fmt;
    default:
      return figures.meter.unit;
  }
}

std::optional<std::uint64_t> integer_of(const Figures& figures, Field field) {
  const auto known = [](std::optional<int> value) {
    return value ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*value)) : std::nullopt;
  };
  switch (field) {
    case Field::n:
      return figures.meter.n;
    case Field::ncols:
      return known(figures.meter.ncols);
    case Field::nrows:
      return known(figures.meter.nrows);
    case Field::total:
      return figures.total;
    default:
      return figures.meter.unit_divisor;
  }
}

std::optional<double> real_of(const Figures& figures, Field field) {
  switch (field) {
    case Field::elapsed_s:
      return figures.meter.elapsed_s;
    case Field::percentage:
      return figures.fraction * 100;
    case Field::rate:
      return figures.rate_inv.value_or(0) > 1 ? figures.rate_inv : figures.rate;
    case Field::rate_inv:
      return figures.rate_inv;
    case Field::rate_noinv:
      return figures.rate;
    default:
      return figures.remaining_s;
  }
}

template <class Number>
std::string number_text(const Piece& piece, std::optional<Number> value) {
  if (!value) return piece.spec.format_missing();
  if (!piece.number_as_text) return piece.spec.format(*value);
  if constexpr (std::is_same_v<Number, double>) {
    return piece.spec.format(std::string_view(shortest(*value)));
  } else {
    return piece.spec.format(std::string_view(std::to_string(*value)));
  }
}

std::string show(const Figures& figures, const Piece& piece) {
  if (piece.field == Field::literal) return piece.text;
  if (piece.field == Field::colon) return figures.meter.desc.empty() ? "" : ": ";
  if (piece.field == Field::eta) return time_of_day(figures, piece.text.c_str());
  if (piece.field >= Field::elapsed_s) return number_text(piece, real_of(figures, piece.field));
  if (piece.field >= Field::n) return number_text(piece, integer_of(figures, piece.field));
  return piece.spec.format(text_of(figures, piece.field));
}

std::string draw_bar(const Figures& figures, const BarSpec& spec, int room) {
  int columns = spec.width.value_or(room);
  if (columns < 0) columns += room;
  const Charset* charset = figures.has_bar ? figures.meter.charset : &Charset::blank();
  if (spec.charset == 'a') charset = &Charset::ascii();
  if (spec.charset == 'u') charset = &Charset::blocks();
  if (spec.charset == 'b') charset = &Charset::blank();
  std::string bar = charset->draw(figures.fraction, columns);
  return figures.meter.colour.empty() ? bar : std::string(figures.meter.colour) + bar + "\x1b[0m";
}

std::string arrange(const Figures& figures, const Layout& layout) {
  const int ncols = figures.meter.ncols.value_or(0);
  std::vector<std::string> texts;
  texts.reserve(layout.pieces().size());
  int taken = 0;
  for (const Piece& piece : layout.pieces()) {
    texts.push_back(piece.field == Field::bar ? std::string() : show(figures, piece));
    if (ncols > 0) taken += display_width(texts.back());
  }
  const int room = ncols > 0 ? std::max(1, ncols - taken) : kDefaultBar;
  std::string line;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Piece& piece = layout.pieces()[i];
    line += piece.field == Field::bar ? draw_bar(figures, piece.bar, room) : texts[i];
  }
  return line;
}

}  // namespace

std::string format_meter(const Meter& meter, const Layout& layout) {
  static const Layout* const kDefault = new Layout(Layout::parse("{l_bar}{bar}{r_bar}"));
  Figures figures(meter);
  std::string line;
  if (!figures.has_bar && layout.empty()) {
    line = figures.l_bar + figures.n_fmt + std::string(meter.unit) + " [" + figures.elapsed + ", " + figures.rate_fmt +
           figures.postfix + "]";
  } else {
    figures.l_bar += figures.has_bar ? percentage_of(figures) : "|";
    if (figures.has_bar && meter.ncols == 0) {
      return figures.l_bar.substr(0, figures.l_bar.size() - 1) + figures.r_bar.substr(1);
    }
    line = arrange(figures, layout.empty() ? *kDefault : layout);
  }
  return meter.ncols.value_or(0) > 0 ? cut_to_width(line, *meter.ncols) : line;
}

}  // namespace brood::bars
