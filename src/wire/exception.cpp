#include "wire/exception.hpp"

#include <cxxabi.h>

#include <cstdlib>
#include <cstring>

#include "wire/exit_text.hpp"
#include "wire/standard_exceptions.hpp"

namespace brood::wire {
namespace {

class ForeignCategory : public std::error_category {
 public:
  const char* name() const noexcept override { return "foreign"; }
  std::string message(int value) const override {
    return "error " + std::to_string(value) + " of a category that only the process it comes from knows";
  }
};

constinit const ForeignCategory foreign_category;

std::string cut(std::string_view text, std::size_t longest) {
  if (text.size() <= longest) return std::string(text);
  return std::string(text.substr(0, longest)) + "...";
}

// strlen() that does not read further than it has to.
std::string copy_text(const char* text) {
  if (text == nullptr) return {};
  return cut({text, strnlen(text, kLongestMessage + 1)}, kLongestMessage);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The type as the program wrote it.
std::string name_of(const std::type_info* type) {
  if (type == nullptr) return "an exception of another language";
  int status = 0;
  char* demangled = abi::__cxa_demangle(type->name(), nullptr, nullptr, &status);
  std::string name = status == 0 && demangled != nullptr ? demangled : type->name();
  std::free(demangled);
  replace_all(name, "std::__cxx11::", "std::");
  replace_all(name, "::__cxx11::", "::");
  replace_all(name, "[abi:cxx11]", "");
  replace_all(name, "std::basic_string<char, std::char_traits<char>, std::allocator<char> >", "std::string");
  // What std::throw_with_nested() throws is of a type derived from the one it was given.
  constexpr std::string_view kNested = "std::_Nested_exception<";
  if (name.starts_with(kNested) && name.ends_with('>')) {
    name = name.substr(kNested.size(), name.size() - kNested.size() - 1);
    if (name.ends_with(' ')) name.pop_back();
  }
  return cut(name, kLongestTypeName);
}

void set_code(ExceptionRecord& record, const std::error_code& code) {
  record.code = code.value();
  record.category = cut(code.category().name(), kLongestTypeName);
}

void describe_standard(ExceptionRecord& record, const std::exception& exception) {
  record.standard_type = nearest_standard(&exception, StandardExceptions{});
  record.type_name = name_of(&typeid(exception));
  record.text = copy_text(exception.what());
  if (const auto* system = dynamic_cast<const std::system_error*>(&exception)) {
    set_code(record, system->code());
  } else if (const auto* future = dynamic_cast<const std::future_error*>(&exception)) {
    set_code(record, future->code());
  } else if (const auto* regex = dynamic_cast<const std::regex_error*>(&exception)) {
    record.code = static_cast<std::int32_t>(regex->code());
  }
  if (const auto* file = dynamic_cast<const std::filesystem::filesystem_error*>(&exception)) {
    record.path1 = cut(file->path1().native(), kLongestMessage);
    record.path2 = cut(file->path2().native(), kLongestMessage);
  }
}

// An exception that has already come from another process keeps its name, and tells of both journeys.
void describe_remote(ExceptionRecord& record, const RemoteError& remote) {
  record.type_name = cut(remote.type_name(), kLongestTypeName);
  std::string_view message = remote.message();
  if (record.text.empty()) {
    record.text = cut(message, kLongestMessage);
    message = {};
  } else if (message.starts_with(record.text)) {
    message.remove_prefix(record.text.size());
  }
  record.causes = cut(message, kLongestMessage) + " " + origin_text(remote.task_index(), remote.pid());
}

constexpr std::uint8_t kRegexError = number_of<std::regex_error>(StandardExceptions{});
constexpr std::int32_t kLastRegexCode = 15;  // what the enumeration, which has no fixed type, can hold

ExceptionRecord describe(const std::exception_ptr& exception, unsigned depth);

void add_cause(ExceptionRecord& record, const std::nested_exception& nested, unsigned depth) {
  const std::exception_ptr cause = nested.nested_ptr();
  if (cause == nullptr) return;
  if (depth >= kMostCauses) {
    record.causes += "; caused by more";
    return;
  }
  const ExceptionRecord inner = describe(cause, depth + 1);
  record.causes += "; caused by " + inner.type_name;
  if (!inner.text.empty()) record.causes += ": " + inner.text;
  record.causes = cut(record.causes + inner.causes, kLongestMessage);
}

// Things that are thrown without being exceptions; called inside a handler.
std::string text_of_value() {
  try {
    throw;
  } catch (const std::string& text) {
    return cut(text, kLongestMessage);
  } catch (std::string_view text) {
    return cut(text, kLongestMessage);
  } catch (const char* text) {
    return copy_text(text);
  } catch (int value) {
    return std::to_string(value);
  } catch (unsigned value) {
    return std::to_string(value);
  } catch (long value) {
    return std::to_string(value);
  } catch (unsigned long value) {
    return std::to_string(value);
  } catch (const std::error_code& code) {
    return copy_text(code.message().c_str());
  } catch (...) {
    return {};
  }
}

ExceptionRecord describe(const std::exception_ptr& exception, unsigned depth) {
  ExceptionRecord record;
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& caught) {
    describe_standard(record, caught);
    if (const auto* remote = dynamic_cast<const RemoteError*>(&caught)) describe_remote(record, *remote);
    if (const auto* nested = dynamic_cast<const std::nested_exception*>(&caught)) add_cause(record, *nested, depth);
  } catch (const RemoteError& caught) {
    describe_remote(record, caught);
  } catch (const std::nested_exception& caught) {
    record.type_name = name_of(abi::__cxa_current_exception_type());
    record.text = text_of_value();
    add_cause(record, caught, depth);
  } catch (...) {
    record.type_name = name_of(abi::__cxa_current_exception_type());
    record.text = text_of_value();
  }
  return record;
}

}  // namespace

const std::error_category& category_named(const std::string& name) noexcept {
  for (const std::error_category* known :
       {&std::generic_category(), &std::system_category(), &std::iostream_category(), &std::future_category()}) {
    if (name == known->name()) return *known;
  }
  return foreign_category;
}

void save_exception(Writer& writer, const std::exception_ptr& exception) {
  ExceptionRecord record;
  if (exception != nullptr) {
    record = describe(exception, 0);
  } else {
    record.type_name = "nothing";
  }
  const bool references = writer.references_allowed();
  writer.allow_references(false);
  save(writer, record);
  writer.allow_references(references);
}

std::string exception_text(const std::exception_ptr& exception) {
  if (exception == nullptr) return "no exception: the thread was ended (pthread_exit)";
  const ExceptionRecord record = describe(exception, 0);
  return record.type_name + (record.text.empty() ? "" : ": ") + record.text + record.causes;
}

std::exception_ptr load_exception(Reader& reader, pid_t pid, std::uint64_t task_index) {
  auto record = load<ExceptionRecord>(reader);
  if (record.standard_type > kNotStandard) reader.fail("an exception of an unknown standard type");
  if (record.standard_type == kRegexError && (record.code < 0 || record.code > kLastRegexCode)) {
    reader.fail("an unknown regex_error code");
  }
  if (record.text.empty() && record.causes.starts_with("; ")) record.causes.erase(0, 2);
  RemoteError remote(record.type_name, record.text + record.causes, pid, task_index);
  if (record.standard_type != kNotStandard) return make_standard(record, std::move(remote), StandardExceptions{});
  return std::make_exception_ptr(Arrived<std::runtime_error>(std::move(remote), record.text));
}

}  // namespace brood::wire
