// The standard exception types: telling which one an object is, and making one that is a RemoteError too.
#pragma once

#include <brood/error.hpp>

#include <any>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <ios>
#include <memory>
#include <new>
#include <optional>
#include <regex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <variant>

namespace brood::wire {

template <class... E>
struct ExceptionTypes {};

// Derived classes before their bases. The position is the type's number on the wire.
using StandardExceptions =
    ExceptionTypes<std::filesystem::filesystem_error, std::ios_base::failure, std::system_error, std::future_error,
                   std::regex_error, std::invalid_argument, std::domain_error, std::length_error, std::out_of_range,
                   std::logic_error, std::range_error, std::overflow_error, std::underflow_error, std::runtime_error,
                   std::bad_array_new_length, std::bad_alloc, std::bad_any_cast, std::bad_cast, std::bad_typeid,
                   std::bad_function_call, std::bad_optional_access, std::bad_variant_access, std::bad_weak_ptr,
                   std::bad_exception, std::exception>;

template <class... E>
constexpr std::uint8_t count_of(ExceptionTypes<E...>) {
  return sizeof...(E);
}
inline constexpr std::uint8_t kStandardExceptions = count_of(StandardExceptions{});

// For what is not a std::exception at all.
inline constexpr std::uint8_t kNotStandard = kStandardExceptions;

template <class T, class... E>
constexpr std::uint8_t number_of(ExceptionTypes<E...>) {
  std::uint8_t number = 0;
  static_cast<void>(((std::is_same_v<T, E> || (++number, false)) || ...));
  return number;
}

// What there is to know about an exception.
struct ExceptionRecord {
  std::uint8_t standard_type = kNotStandard;
  std::string type_name;
  std::string text;      // its what()
  std::string causes;    // "; caused by ..." for each nested one
  std::string category;  // of the error code, when it has one
  std::int32_t code = 0;
  std::string path1, path2;  // of a filesystem_error
};

template <class... E>
std::uint8_t nearest_standard(const std::exception* exception, ExceptionTypes<E...>) {
  std::uint8_t number = 0;
  static_cast<void>(((dynamic_cast<const E*>(exception) != nullptr || (++number, false)) || ...));
  return number;
}

// A B whose what() is the given text.
template <class B>
class WithText : public B {
 public:
  template <class... A>
  explicit WithText(std::string text, A&&... arguments) : B(std::forward<A>(arguments)...), text_(std::move(text)) {}
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::string text_;
};

// The exception that arrives. It has two what(): that of the standard type and that of RemoteError.
template <class B>
class Arrived : public B, public RemoteError {
 public:
  template <class... A>
  explicit Arrived(RemoteError remote, A&&... arguments)
      : B(std::forward<A>(arguments)...), RemoteError(std::move(remote)) {}
};

// The category of that name, or one that only knows that it is foreign.
const std::error_category& category_named(const std::string& name) noexcept;

template <class E>
std::exception_ptr make_arrived(const ExceptionRecord& record, RemoteError remote) {
  const auto make = [&]<class B, class... A>(std::in_place_type_t<B>, A&&... arguments) {
    return std::make_exception_ptr(Arrived<B>(std::move(remote), std::forward<A>(arguments)...));
  };
  constexpr std::in_place_type_t<WithText<E>> with_text;
  [[maybe_unused]] const auto code = [&] { return std::error_code(record.code, category_named(record.category)); };
  if constexpr (std::is_same_v<E, std::filesystem::filesystem_error>) {
    return make(with_text, record.text, record.text, record.path1, record.path2, code());
  } else if constexpr (std::is_same_v<E, std::ios_base::failure>) {
    return make(with_text, record.text, record.text, code());
  } else if constexpr (std::is_same_v<E, std::system_error>) {
    return make(with_text, record.text, code());
  } else if constexpr (std::is_same_v<E, std::future_error>) {
    return make(with_text, record.text, static_cast<std::future_errc>(record.code));
  } else if constexpr (std::is_same_v<E, std::regex_error>) {
    return make(with_text, record.text, static_cast<std::regex_constants::error_type>(record.code));
  } else if constexpr (std::is_constructible_v<E, const std::string&>) {
    return make(std::in_place_type<E>, record.text);
  } else {
    return make(with_text, record.text);
  }
}

template <class... E>
std::exception_ptr make_standard(const ExceptionRecord& record, RemoteError remote, ExceptionTypes<E...>) {
  std::exception_ptr result;
  std::uint8_t number = 0;
  static_cast<void>(
      ((number++ == record.standard_type && (result = make_arrived<E>(record, std::move(remote)), true)) || ...));
  return result;
}

}  // namespace brood::wire
