#pragma once

namespace gradscape {

/// The types of numbers that files hold.
enum class Element { float64, float32, int64, int32, int8, uint8 };

}  // namespace gradscape
