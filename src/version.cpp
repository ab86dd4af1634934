#include <brood/version.hpp>

#define BROOD_TEXT_OF(x) #x
#define BROOD_TEXT(x) BROOD_TEXT_OF(x)

namespace brood {

const char* version() noexcept {
  return BROOD_TEXT(BROOD_VERSION_MAJOR) "." BROOD_TEXT(BROOD_VERSION_MINOR) "." BROOD_TEXT(BROOD_VERSION_PATCH);
}

}  // namespace brood
