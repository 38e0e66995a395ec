;; A component that has nothing to do with the contract.
(component)
