#include "os/syscall.hpp"

#include <string>
#include <system_error>

namespace brood::os {

void throw_errno(int error, std::string_view call, std::string_view argument) {
  std::string text(call);
  text += '(';
  text += argument;
  text += ')';
  throw std::system_error(error, std::generic_category(), text);
}

}  // namespace brood::os
