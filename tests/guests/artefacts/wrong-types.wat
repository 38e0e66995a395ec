;; A component with an export of the right name whose function has another type.
(component
  (core module $m (func (export "describe")))
  (core instance $i (instantiate $m))
  (func $describe (canon lift (core func $i "describe")))
  (instance $catalog (export "describe" (func $describe)))
  (export "millstream:plugin/catalog@0.1.0" (instance $catalog)))
