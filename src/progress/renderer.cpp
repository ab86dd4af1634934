#include "progress/renderer.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <string>
#include <utility>

#include "os/clock.hpp"
#include "os/fork.hpp"
#include "progress/text.hpp"

namespace brood::bars {
namespace {

constinit std::atomic<Renderer*> current{nullptr};
constinit std::atomic<Bar*> abandoned{nullptr};

}  // namespace

Renderer::Renderer() : generation_(os::fork_generation()), parents_(current.load(std::memory_order_relaxed)) {
  // Children inherit the registration.
  if (parents_ == nullptr) std::atexit([] { leave_at_exit(); });
}

Renderer& Renderer::instance() {
  Renderer* known = current.load(std::memory_order_acquire);
  while (known == nullptr || known->generation_ != os::fork_generation()) {
    auto* const fresh = new Renderer();
    if (current.compare_exchange_strong(known, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;  // another thread was faster
  }
  return *known;
}

// exit() with bars that are still open, such as static ones: the shell's prompt belongs below them.
void Renderer::leave_at_exit() noexcept {
  Renderer* const mine = current.load(std::memory_order_acquire);
  if (mine == nullptr || mine->generation_ != os::fork_generation() || !mine->mutex_.try_lock()) return;
  const std::lock_guard lock(mine->mutex_, std::adopt_lock);
  for (const auto& display : mine->displays_) display->leave();
}

void Renderer::abandon(Bar& bar) noexcept {
  bar.next_abandoned = abandoned.load(std::memory_order_relaxed);
  while (!abandoned.compare_exchange_weak(bar.next_abandoned, &bar, std::memory_order_release)) {
  }
}

Display* Renderer::find(int fd) {
  const os::FileIdentity terminal = os::file_identity(fd);
  const auto at = std::find_if(displays_.begin(), displays_.end(), [&](const auto& d) { return d->is(terminal); });
  return at == displays_.end() ? nullptr : at->get();
}

Display& Renderer::display_for(const Bar& bar) {
  if (Display* const display = find(bar.fd)) return *display;
  return *displays_.emplace_back(std::make_unique<Display>(os::file_identity(bar.fd), bar.fd));
}

void Renderer::open(Bar& bar) {
  const std::lock_guard lock(mutex_);
  bar.open = true;
  const std::int64_t now_ns = os::now_ns();
  if (!bar.pace.time_is_up(now_ns)) return;
  // In a file, a bar that is not to be left is of interest only when it takes long.
  if (bar.on_terminal || bar.options.leave) {
    draw_locked(bar, now_ns);
  } else {
    bar.pace.drawn(bar.counter, bar.options.initial, now_ns);
  }
}

void Renderer::draw_locked(Bar& bar, std::int64_t now_ns) {
  if (!bar.open) return;
  if (!bar.on_terminal) {
    print_line(bar, false, now_ns);
  } else if (bar.display != nullptr) {
    bar.display->draw(bar, now_ns);
  } else {
    display_for(bar).add(bar, now_ns);
  }
}

void Renderer::print_line(Bar& bar, bool last, std::int64_t now_ns) {
  std::string line = last ? bar.last_line(now_ns, {}, {}) : bar.line(now_ns, {}, {});
  if (last && line == bar.printed) return;
  bar.begun = true;
  if (os::deliver(bar.fd, line + '\n', !last) == os::Delivery::complete) bar.printed = std::move(line);
}

void Renderer::try_draw(Bar& bar) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (lock) draw_locked(bar, os::now_ns());
}

void Renderer::draw(Bar& bar) {
  const std::lock_guard lock(mutex_);
  draw_locked(bar, os::now_ns());
}

void Renderer::restart(Bar& bar) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now_ns = os::now_ns();
  bar.restart(now_ns);
  draw_locked(bar, now_ns);
}

void Renderer::close(Bar& bar) {
  const std::lock_guard lock(mutex_);
  if (!bar.open) return;
  bar.open = false;
  bar.pace.stop(bar.counter);
  const std::int64_t now_ns = os::now_ns();
  if (!bar.on_terminal) {
    // Nothing of a bar that ends within its delay.
    if (bar.options.leave && bar.begun) print_line(bar, true, now_ns);
    return;
  }
  Display* const display = bar.display;
  if (display == nullptr) return;
  display->remove(bar, now_ns);
  if (display->empty()) std::erase_if(displays_, [&](const auto& d) { return d.get() == display; });
}

void Renderer::set_text(Bar& bar, std::string ProgressOptions::*member, std::string text) {
  const std::lock_guard lock(mutex_);
  bar.options.*member = std::move(text);
  const std::int64_t now_ns = os::now_ns();
  if (bar.display != nullptr && bar.may_show_text(now_ns)) draw_locked(bar, now_ns);
}

void Renderer::print(std::string_view line, int fd) {
  const std::lock_guard lock(mutex_);
  if (Display* const display = displays_.empty() ? nullptr : find(fd)) {
    display->print(line, os::now_ns());
  } else {
    os::deliver(fd, std::string(line) + '\n', false);
  }
}

void Renderer::print_over(std::string_view line, int fd) {
  os::deliver(fd, "\r\x1b[J" + std::string(line) + "\r\n", false);
}

}  // namespace brood::bars
