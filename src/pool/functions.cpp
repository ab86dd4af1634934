#include "pool/functions.hpp"

#include <utility>

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
  Function& function = all_.emplace_back();
  function.number = static_cast<std::uint32_t>(all_.size());
  function.generation = 1;
  return &function;
}

Function* Functions::obtain(const wire::FunctionRef& ref) {
  const Key key{ref.record, ref.key};
  const std::lock_guard lock(mutex_);
  if (ref.permanent) {
    if (last_ != nullptr && key == last_key_) return last_;
    if (const auto found = permanent_.find(key); found != permanent_.end()) {
      last_key_ = key;
      return last_ = found->second;
    }
  }
  std::string definition = define(ref.record, [&](wire::Writer& writer) { ref.save(ref.callable, writer); });
  Function* const function = fresh();
  function->permanent = ref.permanent;
  function->definition = std::move(definition);
  function->users = 1;
  if (ref.permanent) permanent_.emplace(key, function);
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
