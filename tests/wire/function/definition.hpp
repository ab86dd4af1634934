// A callable in the form in which it travels, and the other end of its way.
#pragma once

#include <brood/archive.hpp>
#include <brood/detail/bind.hpp>
#include <brood/error.hpp>

#include <string>
#include <utility>

namespace brood::wire::testing {

// As engine::Functions makes it.
inline std::string definition_of(const FunctionRef& ref) {
  Writer writer;
  save_code(writer, ref.record);
  writer.put(ref.record->signature);
  ref.record->save(ref.callable, writer);
  return writer.take_string();
}
template <class... Args, class F>
std::string definition_of(const F& f) {
  return definition_of(detail::make_function_ref<F, false, Args...>(f));
}

class StringAnswer final : public Answer {
 public:
  Writer& begin() override { return writer_; }
  void commit() override { text = writer_.take_string(); }
  std::string text;

 private:
  Writer writer_;
};

inline std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// As engine::Worker does it: the result in encoded form.
inline std::string call_defined(const std::string& definition, const std::string& args) {
  Reader reader(bytes_of(definition));
  const auto* const record = static_cast<const FunctionRecord*>(load_code(reader));
  if (load<std::uint64_t>(reader) != record->signature) throw ProcessError("another signature");
  void* const callable = record->open(reader);
  reader.finish();
  Reader in(bytes_of(args));
  StringAnswer answer;
  record->call(callable, in, answer);
  record->close(callable);
  return answer.text;
}

template <class... Args>
std::string encoded(const Args&... args) {
  Writer writer;
  (save(writer, args), ...);
  return writer.take_string();
}
template <class R>
R decoded(const std::string& text) {
  Reader reader(bytes_of(text));
  R value = load<R>(reader);
  reader.finish();
  return value;
}

}  // namespace brood::wire::testing
