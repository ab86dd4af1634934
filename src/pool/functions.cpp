#include "pool/functions.hpp"

#include <cstring>
#include <utility>

#include "wire/module.hpp"

namespace brood::engine {
namespace {

std::string define(const wire::FunctionRecord* record, const auto& save_state) {
  wire::Writer writer;
  wire::save_code(writer, record);
  writer.put(record->signature);
  save_state(writer);
  return writer.take_string();
}

}  // namespace

std::size_t Functions::Hash::operator()(const Key& key) const noexcept {
  std::uint64_t hash = reinterpret_cast<std::uintptr_t>(key.record);
  for (const std::uint64_t word : key.state) hash = (hash ^ word) * 0x9E37'79B9'7F4A'7C15U;
  return static_cast<std::size_t>(hash ^ (hash >> 32U));
}

Function* Functions::fresh() {
  if (!free_.empty()) {
    Function* const function = free_.back();
    free_.pop_back();
    ++function->generation;
    function->task_ns = 0;
    return function;
  }
  free_.reserve(all_.size() + 1);  // release() may not fail
  Function& function = all_.emplace_back();
  function.number = static_cast<std::uint32_t>(all_.size());
  function.generation = 1;
  return &function;
}

bool Functions::Entry::holds() const {
  if (lasting) return true;
  const auto now = wire::closed_modules();
  return now && now == closed;
}

Function* Functions::obtain(const wire::FunctionRef& ref) {
  const bool permanent = ref.record->permanent;
  Key key{ref.record, {}};
  if (permanent && ref.record->key_bytes > 0) std::memcpy(key.state.data(), ref.callable, ref.record->key_bytes);
  const std::lock_guard lock(mutex_);
  Entry* entry = nullptr;
  if (permanent) {
    if (last_ != nullptr && key == last_key_ && last_->holds()) return last_->function;
    if (const auto found = permanent_.find(key); found != permanent_.end()) entry = &found->second;
    if (entry != nullptr && entry->holds()) {
      last_key_ = key;
      last_ = entry;
      return entry->function;
    }
  }
  const auto closed = permanent ? wire::closed_modules() : std::nullopt;
  std::string definition = define(ref.record, [&](wire::Writer& writer) { ref.record->save(ref.callable, writer); });
  if (entry != nullptr && entry->function->definition == definition) {
    entry->closed = closed;
    return entry->function;
  }
  // The first word of a key is an address, nothing, or a number that is no address.
  const auto* const code = reinterpret_cast<const void*>(key.state[0]);
  const bool lasting = permanent && !wire::may_be_closed(ref.record) && (code == nullptr || !wire::may_be_closed(code));
  Function* const function = fresh();
  function->permanent = permanent;
  function->definition = std::move(definition);
  function->users = 1;
  if (!permanent) return function;
  try {
    permanent_[key] = {.function = function, .lasting = lasting, .closed = closed};
  } catch (...) {
    free_.push_back(function);
    throw;
  }
  return function;
}

Function* Functions::obtain(const wire::FunctionRecord* record, const std::string& state) {
  std::string definition = define(record, [&](wire::Writer& writer) { writer.write(state.data(), state.size()); });
  const std::lock_guard lock(mutex_);
  Function* const function = fresh();
  function->permanent = true;
  function->definition = std::move(definition);
  return function;
}

void Functions::release(Function* function) noexcept {
  if (function == nullptr || function->permanent) return;
  const std::lock_guard lock(mutex_);
  if (--function->users > 0) return;
  function->definition.clear();
  free_.push_back(function);
}

}  // namespace brood::engine
