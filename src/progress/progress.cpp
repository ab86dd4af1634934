#include <brood/progress.hpp>

#include "os/clock.hpp"
#include "progress/bar.hpp"
#include "progress/figures.hpp"
#include "progress/renderer.hpp"
#include "progress/text.hpp"

namespace brood {
namespace {

using bars::Renderer;

// Where a moved-from bar counts.
constinit detail::ProgressCounter nowhere;

// A bar never breaks the program: what cannot be drawn, for want of memory, is not drawn.
template <class F>
void harmlessly(F&& f) noexcept {
  try {
    f();
  } catch (...) {
  }
}

std::string_view without_line_feed(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

}  // namespace

void ProgressItem::append(double value) { text_ += bars::format_number(value); }
void ProgressItem::append(std::int64_t value) { text_ += bars::format_number(value); }
void ProgressItem::append(std::uint64_t value) { text_ += bars::format_number(value); }

Progress::Progress(ProgressOptions options) : counter_(&nowhere), bar_(new bars::Bar(std::move(options))) {
  counter_ = &bar_->counter;
  if (!bar_->options.disable) harmlessly([&] { Renderer::instance().open(*bar_); });
}

Progress::Progress(Progress&& other) noexcept
    : counter_(std::exchange(other.counter_, &nowhere)), bar_(std::exchange(other.bar_, nullptr)) {}

Progress& Progress::operator=(Progress&& other) noexcept {
  Progress old(std::move(other));
  std::swap(counter_, old.counter_);
  std::swap(bar_, old.bar_);
  return *this;
}

Progress::~Progress() {
  if (bar_ == nullptr) return;
  if (bar_->inherited()) {
    Renderer::abandon(*bar_);
    return;
  }
  close();
  delete bar_;
}

void Progress::look(std::uint64_t n) noexcept {
  if (bar_ == nullptr || bar_->inherited()) {
    counter_->wake.store(detail::ProgressCounter::kNever, std::memory_order_relaxed);
    return;
  }
  if (bar_->pace.look(*counter_, n)) harmlessly([&] { Renderer::instance().try_draw(*bar_); });
}

void Progress::update_to(std::uint64_t n) noexcept {
  const std::uint64_t before = counter_->count();
  counter_->set_count(n);
  if (bar_ == nullptr || bar_->inherited()) return;
  if (n < before) bar_->pace.jump(*counter_, n);
  if (n >= counter_->wake.load(std::memory_order_relaxed)) look(n);
}

void Progress::tick() noexcept { look(n()); }

std::optional<std::uint64_t> Progress::total() const noexcept {
  const std::uint64_t total = counter_->total.load(std::memory_order_relaxed);
  return total == detail::ProgressCounter::kUnknown ? std::nullopt : std::optional(total);
}

void Progress::set_total(std::optional<std::uint64_t> total) noexcept {
  if (counter_ != &nowhere)
    counter_->total.store(total.value_or(detail::ProgressCounter::kUnknown), std::memory_order_relaxed);
}

void Progress::set_text(std::string ProgressOptions::*member, std::string_view text) {
  if (bar_ == nullptr || bar_->inherited()) return;
  Renderer::instance().set_text(*bar_, member, bars::single_line(text, bars::Colours::keep));
}

void Progress::set_description(std::string_view desc) { set_text(&ProgressOptions::desc, desc); }

void Progress::set_postfix(std::string_view postfix) { set_text(&ProgressOptions::postfix, postfix); }

void Progress::set_postfix(std::initializer_list<ProgressItem> items) {
  std::string text;
  for (const ProgressItem& item : items) text += (text.empty() ? "" : ", ") + item.text();
  set_postfix(text);
}

void Progress::write(std::string_view line) { write(line, bar_ == nullptr ? 2 : bar_->fd); }

void Progress::write(std::string_view line, int fd) {
  if (bar_ != nullptr && bar_->inherited() && bar_->on_terminal && fd == bar_->fd) {
    Renderer::print_over(without_line_feed(line), fd);
  } else {
    write_line(line, fd);
  }
}

void Progress::write_line(std::string_view line, int fd) { Renderer::instance().print(without_line_feed(line), fd); }

void Progress::refresh() noexcept {
  if (bar_ == nullptr || bar_->inherited()) return;
  harmlessly([&] { Renderer::instance().draw(*bar_); });
}

void Progress::reset(std::optional<std::uint64_t> total) noexcept {
  if (total) set_total(total);
  if (bar_ == nullptr || bar_->inherited()) {
    counter_->set_count(0);
    return;
  }
  bar_->pace.jump(*counter_, 0);
  harmlessly([&] { Renderer::instance().restart(*bar_); });
}

void Progress::close() noexcept {
  if (bar_ == nullptr || bar_->inherited()) return;
  harmlessly([&] { Renderer::instance().close(*bar_); });
}

namespace detail {

// For the pool's headers, which know a Progress by its name only.
void advance_progress(Progress& bar, std::uint64_t by);
void advance_progress(Progress& bar, std::uint64_t by) { bar.update(by); }

}  // namespace detail

}  // namespace brood
